"""What Label Studio holds of a project, in a file of this machine that can be made anew at any time: tasks, answers, labels."""
