//! The world as the events tell it: what every screen, command and verdict is folded from.
