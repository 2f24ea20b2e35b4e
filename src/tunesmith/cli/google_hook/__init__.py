"""What ``tunesmith google-env`` puts on the path of the program that it runs."""
