//! Links between processes: QUIC connections with certificates on both sides, and one stream of frames each.
