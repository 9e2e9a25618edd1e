//! The decisions of the FTM: whom to suspect, fence, promote and adopt.
