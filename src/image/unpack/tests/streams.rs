//! What the layer is packed in, and how much of it is read.
