"""What stands beside the plugin: the demo, its sample images, a Label Studio to run against, and ResNet50 weights."""
