"""The run store: manifest, frames, outcome; written crash-safe, read by everyone.  May import metrics and stats."""
