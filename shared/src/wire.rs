//! Frames: the length-prefixed bytes in which messages go over a link.
