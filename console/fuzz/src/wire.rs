//! What comes over a link: frames, and the first bytes on it.

use bytes::{Bytes, BytesMut};
use palib::limits::FRAME_BYTES_MAX;
use palib::wire::{Decoder, Frame, WireError, decode_opening, encode_message, encode_opening};

/// The first byte says in how large pieces the rest comes.
pub(super) fn wire(data: &[u8]) -> bool {
    opening(data);
    let Some((piece, stream)) = data.split_first() else { return false };
    let stream = Bytes::copy_from_slice(stream);
    let (whole, end) = decode(&stream, stream.len().max(1));
    let (pieces, end_of_pieces) = decode(&stream, usize::from(*piece) + 1);
    // Up to a mistake. Behind it nothing is read, and a piece may end before it.
    assert_eq!(whole, pieces, "it depends on how the stream is cut");
    assert_eq!(end, end_of_pieces, "it depends on how the stream is cut");
    let understood = !whole.is_empty();
    for frame in whole {
        if let Frame::Message(message) = frame {
            let mut again = BytesMut::new();
            encode_message(&mut again, &message).expect("what was decoded can be encoded");
            assert!(again.len() <= FRAME_BYTES_MAX + 4);
            assert_eq!(decode(&again.freeze(), 7), (vec![Frame::Message(message)], Ok(true)));
        }
    }
    understood
}

/// The frames before the first mistake, and that mistake; or whether the stream may end where it does.
fn decode(stream: &Bytes, piece: usize) -> (Vec<Frame>, Result<bool, WireError>) {
    let (mut decoder, mut frames, mut rest) = (Decoder::default(), Vec::new(), stream.clone());
    while !rest.is_empty() {
        if let Err(error) = decoder.feed(rest.split_to(piece.min(rest.len())), &mut frames) {
            return (frames, Err(error));
        }
    }
    (frames, Ok(decoder.is_between_frames()))
}

fn opening(data: &[u8]) {
    if let Some(first) = data.first_chunk()
        && let Some(version) = decode_opening(*first)
    {
        assert_eq!(encode_opening(version), *first);
    }
}
