"""What people and jobs have written down about a project, and Label Studio does not know: state, wishes, what was learned."""
