//! Frames survive the way over the wire, and whatever else comes is an error.

use bytes::{Bytes, BytesMut};
use palib::core::ids::{AliasId, CallId, Incarnation, Mark, Origin, PortId, TransId};
use palib::core::message::{CancelEnd, Message, Outcome, Refusal, Request};
use palib::limits::{BODY_BYTES_MAX, FRAME_BYTES_MAX};
use palib::wire::{Decoder, Frame, WireError, encode_control, encode_message};
use proptest::prelude::*;

fn id() -> impl Strategy<Value = CallId> {
    let origin = prop_oneof![
        any::<u32>().prop_map(|port| Origin::Port(PortId(port))),
        any::<u64>().prop_map(|incarnation| Origin::Incarnation(Incarnation(incarnation))),
    ];
    (any::<u32>(), origin, any::<u64>()).prop_map(|(source, origin, trans)| CallId {
        source: AliasId(source),
        origin,
        trans: TransId(trans),
    })
}

fn body() -> impl Strategy<Value = Bytes> {
    // Small bodies are copied and large ones sliced: both ways must be walked.
    prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..200),
        1 => (4000_usize..40_000, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ]
    .prop_map(Bytes::from)
}

fn refusal() -> impl Strategy<Value = Refusal> {
    proptest::sample::select(vec![
        Refusal::NotInService,
        Refusal::Stale,
        Refusal::DifferentBody,
        Refusal::WindowExceeded,
        Refusal::Cancelled,
        Refusal::TooLarge,
        Refusal::NotYourAlias,
        Refusal::UnknownAlias,
        Refusal::Busy,
    ])
}

fn mark() -> impl Strategy<Value = Mark> {
    any::<(u64, u64)>().prop_map(|(born, trans)| Mark { born: Incarnation(born), trans: TransId(trans) })
}

fn request() -> impl Strategy<Value = Request<Bytes>> {
    (id(), any::<u64>(), any::<u32>(), mark(), any::<u32>(), any::<bool>(), body()).prop_map(
        |(id, born, target, mark, attempt, cancellable, body)| Request {
            id,
            born: Incarnation(born),
            target: AliasId(target),
            mark,
            attempt,
            cancellable,
            body,
        },
    )
}

fn cancel_end() -> impl Strategy<Value = CancelEnd<Bytes>> {
    prop_oneof![
        any::<bool>().prop_map(|undone| CancelEnd::Cancelled { undone }),
        body().prop_map(CancelEnd::NotUndone),
    ]
}

fn message() -> impl Strategy<Value = Message<Bytes>> {
    prop_oneof![
        request().prop_map(Message::Request),
        (id(), any::<bool>(), any::<bool>(), body()).prop_map(|(id, failed, redundant, body)| {
            Message::Answer {
                id,
                outcome: if failed { Outcome::Failed(body) } else { Outcome::Reply(body) },
                redundant,
            }
        }),
        (id(), refusal()).prop_map(|(id, refusal)| Message::Refused { id, refusal }),
        request().prop_map(Message::Cancel),
        (id(), cancel_end()).prop_map(|(id, end)| Message::CancelEnded { id, end }),
        (any::<u32>(), any::<u32>(), mark()).prop_map(|(source, target, mark)| {
            let (source, target) = (AliasId(source), AliasId(target));
            Message::Mark { source, target, mark }
        }),
    ]
}

fn encoded(messages: &[Message<Bytes>]) -> Bytes {
    let mut out = BytesMut::new();
    for message in messages {
        encode_message(&mut out, message).expect("within the limits");
    }
    out.freeze()
}

fn decoded(bytes: &Bytes, chunk_bytes: &[usize]) -> Result<(Vec<Frame>, bool), WireError> {
    let (mut decoder, mut frames, mut rest) = (Decoder::default(), Vec::new(), bytes.clone());
    for bytes in chunk_bytes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        decoder.feed(rest.split_to((*bytes).min(rest.len())), &mut frames)?;
    }
    Ok((frames, decoder.is_between_frames()))
}

proptest! {
    #[test]
    fn messages_arrive_whole_however_the_stream_is_cut(
        messages in proptest::collection::vec(message(), 1..8),
        cuts in proptest::collection::vec(1_usize..3000, 1..6),
    ) {
        let (frames, whole) = decoded(&encoded(&messages), &cuts).expect("nothing is wrong with them");
        prop_assert!(whole);
        prop_assert_eq!(frames, messages.into_iter().map(Frame::Message).collect::<Vec<_>>());
    }

    #[test]
    fn a_truncated_stream_gives_no_frame_that_was_not_sent(message in message(), cut in any::<prop::sample::Index>()) {
        let bytes = encoded(std::slice::from_ref(&message));
        let (frames, whole) = decoded(&bytes.slice(..cut.index(bytes.len())), &[77]).expect("it may still go on");
        prop_assert!(frames.is_empty());
        prop_assert_eq!(whole, cut.index(bytes.len()) == 0);
    }

    #[test]
    fn garbage_is_an_error_or_a_frame_and_never_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        cuts in proptest::collection::vec(1_usize..90, 1..6),
    ) {
        let _ = decoded(&Bytes::from(bytes), &cuts);
    }

    #[test]
    fn a_frame_with_garbage_inside_is_an_error_or_a_frame(
        kind in 0_u8..12, bytes in proptest::collection::vec(any::<u8>(), 0..90),
    ) {
        let mut frame = (bytes.len() as u32 + 1).to_le_bytes().to_vec();
        frame.push(kind);
        frame.extend(bytes);
        let _ = decoded(&Bytes::from(frame), &[1000]);
    }

    #[test]
    fn a_message_with_one_bit_flipped_is_an_error_or_a_frame(message in message(), bit in any::<prop::sample::Index>()) {
        let mut bytes = encoded(&[message]).to_vec();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let _ = decoded(&Bytes::from(bytes), &[500]);
    }
}

fn raw(length: u32, rest: &[u8]) -> Bytes {
    Bytes::from([&length.to_le_bytes(), rest].concat())
}

fn error_of(bytes: Bytes) -> String {
    decoded(&bytes, &[9]).expect_err("it is malformed").to_string()
}

fn answer(body: Bytes) -> Message<Bytes> {
    let id = CallId { source: AliasId(1), origin: Origin::Port(PortId(2)), trans: TransId(3) };
    Message::Answer { id, outcome: Outcome::Reply(body), redundant: false }
}

#[test]
fn each_mistake_in_a_frame_is_named() {
    let id = CallId { source: AliasId(1), origin: Origin::Port(PortId(2)), trans: TransId(3) };
    let refused = encoded(&[Message::Refused { id, refusal: Refusal::Busy }]);
    let with = |at: usize, value: u8| {
        let mut bytes = refused.to_vec();
        bytes[at] = value;
        Bytes::from(bytes)
    };
    assert_eq!(error_of(raw(0, &[])), "an empty frame");
    assert_eq!(error_of(raw(1, &[77])), "unknown frame kind 77");
    assert_eq!(error_of(raw(2, &[1, 0])), "a frame of kind 1 ends within its header, 1 bytes after its kind");
    assert_eq!(error_of(with(5, 128)), "field `flags` of a frame of kind 4 has the impossible value 128");
    assert_eq!(error_of(with(9, 0)), "field `refusal` of a frame of kind 4 has the impossible value 0");
    let long = [&7_u32.to_le_bytes(), &refused[4..], &[0]].concat();
    assert_eq!(error_of(Bytes::from(long)), "a frame of kind 4 has 1 bytes too many");
    let port = [4, 0, 1, 0x80, 0x80, 0x80, 0x80, 0x10, 3, 9];
    assert_eq!(
        error_of(raw(port.len() as u32, &port)),
        "field `port` of a frame of kind 4 has the impossible value 4294967296"
    );
    let endless = [4, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2];
    assert_eq!(
        error_of(raw(endless.len() as u32, &endless)),
        "field `source` of a frame of kind 4 has the impossible value 2"
    );
    let no_born = [1, 0, 1, 2, 3, 4, 5];
    assert_eq!(
        error_of(raw(no_born.len() as u32, &no_born)),
        "field `flags` of a frame of kind 1 has the impossible value 0"
    );
}

#[test]
fn each_mistake_in_a_frame_of_a_relay_is_named() {
    let id = CallId { source: AliasId(1), origin: Origin::Port(PortId(2)), trans: TransId(3) };
    let (born, target, mark) = (Incarnation(4), AliasId(5), Mark::default());
    let request = Request { id, born, target, mark, attempt: 6, cancellable: true, body: Bytes::new() };
    let flagged = |message| {
        let mut bytes = encoded(&[message]).to_vec();
        bytes[5] |= 0x20;
        Bytes::from(bytes)
    };
    let longer = |message| {
        let bytes = encoded(&[message]);
        let length = bytes.len() as u32 - 4 + 1;
        Bytes::from([&length.to_le_bytes(), &bytes[4..], &[0]].concat())
    };
    let impossible =
        |kind, value| format!("field `flags` of a frame of kind {kind} has the impossible value {value}");
    assert_eq!(error_of(flagged(Message::Request(request.clone()))), impossible(1, 0x3E));
    assert_eq!(error_of(flagged(Message::Cancel(request))), impossible(6, 0x3E));
    let cancelled = Message::CancelEnded { id, end: CancelEnd::Cancelled { undone: true } };
    assert_eq!(error_of(flagged(cancelled.clone())), impossible(7, 0x22));
    assert_eq!(error_of(longer(cancelled)), "a frame of kind 7 has 1 bytes too many");
    let told = Message::Mark { source: id.source, target, mark };
    assert_eq!(error_of(longer(told)), "a frame of kind 9 has 1 bytes too many");
    for kind in [6, 7, 8, 9] {
        let expected = format!("a frame of kind {kind} ends within its header, 1 bytes after its kind");
        assert_eq!(error_of(raw(2, &[kind, 0])), expected);
    }
}

#[test]
fn a_small_call_is_mostly_body() {
    let born = Incarnation(3);
    let (origin, trans) = (Origin::Incarnation(born), TransId(7_000_000_123_456));
    let id = CallId { source: AliasId(2), origin, trans };
    let mark = Mark { born, trans: TransId(trans.0 - 100) };
    let (target, body) = (AliasId(1), Bytes::from_static(&[7; 64]));
    let request = Request { id, born, target, mark, attempt: 0, cancellable: false, body };
    assert_eq!(encoded(&[Message::Request(request)]).len(), 4 + 13 + 64);
    let answer = Message::Answer { id, outcome: Outcome::Reply(Bytes::new()), redundant: false };
    assert_eq!(encoded(&[answer]).len(), 4 + 11);
}

#[test]
fn a_cancellation_is_bounded_as_its_request_is_and_so_are_the_words_of_its_end() {
    let id = CallId { source: AliasId(1), origin: Origin::Port(PortId(2)), trans: TransId(3) };
    let (born, target, mark) = (Incarnation(4), AliasId(5), Mark::default());
    let with = |bytes: usize| {
        let body = Bytes::from(vec![7; bytes]);
        let end = CancelEnd::NotUndone(body.clone());
        let request = Request { id, born, target, mark, attempt: 0, cancellable: true, body };
        [Message::Cancel(request), Message::CancelEnded { id, end }]
    };
    let longest = with(BODY_BYTES_MAX);
    let (frames, _) = decoded(&encoded(&longest), &[60_000]).expect("they are allowed");
    assert_eq!(frames, longest.map(Frame::Message));
    for message in with(BODY_BYTES_MAX + 1) {
        let error = encode_message(&mut BytesMut::new(), &message).expect_err("too long");
        assert_eq!(error, WireError::BodyTooLarge { bytes: BODY_BYTES_MAX + 1 });
    }
}

#[test]
fn a_length_over_the_limit_is_refused_before_its_bytes_come() {
    let length = FRAME_BYTES_MAX as u32 + 1;
    assert!(error_of(raw(length, &[])).contains("longer than the limit of 4259840"));
    assert!(error_of(raw(u32::MAX, &[5])).contains("longer than the limit"));
}

#[test]
fn the_longest_body_passes_and_a_longer_one_is_refused_at_its_sender() {
    let longest = answer(Bytes::from(vec![7; BODY_BYTES_MAX]));
    let (frames, whole) =
        decoded(&encoded(std::slice::from_ref(&longest)), &[60_000]).expect("it is allowed");
    assert!(whole);
    assert_eq!(frames, [Frame::Message(longest)]);

    let mut out = BytesMut::from(&b"before"[..]);
    let error =
        encode_message(&mut out, &answer(Bytes::from(vec![7; BODY_BYTES_MAX + 1]))).expect_err("too long");
    assert_eq!(error, WireError::BodyTooLarge { bytes: BODY_BYTES_MAX + 1 });
    assert_eq!(&out[..], b"before");
}

#[test]
fn a_body_over_the_limit_is_refused_at_its_receiver() {
    let bytes = BODY_BYTES_MAX + 1;
    let mut frame = vec![0; 4 + 1 + 4 + bytes];
    frame[..4].copy_from_slice(&(bytes as u32 + 5).to_le_bytes());
    frame[4] = 2;
    assert!(
        decoded(&Bytes::from(frame), &[100_000])
            .expect_err("too long")
            .to_string()
            .contains("a body of 4194305")
    );
}

#[test]
fn control_messages_are_json_and_bounded() {
    let mut out = BytesMut::new();
    encode_control(&mut out, &["join", "me"]).expect("it is small");
    let (frames, _) = decoded(&out.split().freeze(), &[3]).expect("it is well-formed");
    assert_eq!(frames, [Frame::Control(Bytes::from_static(br#"["join","me"]"#))]);

    encode_control(&mut out, &"x".repeat(FRAME_BYTES_MAX)).expect_err("it is too long");
    assert!(out.is_empty());
}

#[test]
fn a_small_body_does_not_keep_its_packet_alive() {
    let packet = encoded(&vec![answer(Bytes::from_static(b"small")); 100]);
    let mut frames = Vec::new();
    Decoder::default().feed(packet.clone(), &mut frames).expect("they are well-formed");
    assert_eq!(frames.len(), 100);
    assert!(packet.is_unique());
}
