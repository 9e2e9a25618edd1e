//! The verdict on a recorded history: exactly once and linearizable, or not and why.
