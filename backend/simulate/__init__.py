"""`al-backend simulate DIR`: active learning on a labelled folder, where the folder answers for the annotator."""
