//! What was written to an overlaid workspace: listed, and applied when asked.
