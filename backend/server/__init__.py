"""What Label Studio calls over HTTP: the application, webhook events, the model behind /predict."""
