"""What people see in a browser: pages about the projects that their own Label Studio token may see."""
