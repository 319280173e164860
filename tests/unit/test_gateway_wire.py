"""Words and sentences: the gateway's codec, the simulator's, librouteros' and RouterOS-api's agree on every byte."""

from io import BytesIO
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from librouteros.exceptions import ProtocolError
from librouteros.protocol import encode_length as librouteros_length
from routeros_api import base_api

from wisp.demo.routeros import codec
from wisp.gateway.wire import Answer, Wire, decode, encode, from_wire, to_wire

EDGES = [1, 0x7F, 0x80, 0x3FFF, 0x4000, 0x1FFFFF, 0x200000, 0xFFFFFFF, 0x10000000, 0xFFFFFFFF]
words = st.lists(st.text(min_size=1), min_size=1, max_size=6)


@pytest.mark.parametrize(("length", "size"), list(zip(EDGES, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5], strict=True)))
def test_each_length_has_its_form(length: int, size: int) -> None:
    encoded = codec.encode_length(length)
    assert len(encoded) == size
    assert encoded == base_api.encode_length(length)
    assert codec.decode_length(encoded, 0) == (length, size)
    if length < 0x10000000:
        assert encoded == librouteros_length(length)


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=0xFFFFFFFF))
def test_every_length_comes_back(length: int) -> None:
    encoded = codec.encode_length(length)
    assert codec.decode_length(encoded, 0) == (length, len(encoded))
    assert base_api.decode_length(BytesIO(encoded).read) == length


# The word "hello" behind each form of its length, also the longer ones that no encoder would choose.
@pytest.mark.parametrize("head", [b"\x05", b"\x80\x05", b"\xc0\x00\x05", b"\xe0\x00\x00\x05", b"\xf0\x00\x00\x00\x05"])
def test_all_five_forms_are_read(head: bytes) -> None:
    data = head + b"hello\x00"
    assert list(decode(data)) == [(["hello"], len(data))]
    assert codec.Decoder().feed(data) == [["hello"]]


@pytest.mark.parametrize("size", [0x80, 0x4000, 0x200000])
def test_long_words_pass_both_ways(size: int) -> None:
    sentence = ["x" * size, "end"]
    assert codec.Decoder().feed(encode([sentence])) == [sentence]
    data = codec.encode_sentence(sentence)
    assert list(decode(data)) == [(sentence, len(data))]


@settings(deadline=None)
@given(st.lists(words, min_size=1, max_size=4), st.data())
def test_what_the_gateway_writes_the_router_reads_however_it_is_cut(
    sentences: list[list[str]], data: st.DataObject
) -> None:
    sent = encode(sentences)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=5)))
    decoder = codec.Decoder()
    read = []
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        read += decoder.feed(sent[start:end])
    assert [[word.encode("latin-1").decode() for word in sentence] for sentence in read] == sentences


@settings(deadline=None)
@given(st.lists(st.text(st.characters(max_codepoint=255), min_size=1), max_size=6))
def test_what_the_router_writes_the_gateway_reads_byte_for_byte(sentence: list[str]) -> None:
    data = codec.encode_sentence(sentence)
    assert list(decode(data)) == [(sentence, len(data))]
    for end in range(len(data)):
        assert list(decode(data[:end])) == []


@settings(deadline=None)
@given(st.lists(words | st.just([]), max_size=5), words)
def test_sentences_come_one_after_another_and_the_rest_waits(sentences: list[list[str]], begun: list[str]) -> None:
    data = encode([*sentences, begun])
    *whole, (_last, end) = decode(data)
    assert [[from_wire(word) for word in sentence] for sentence, _ in whole] == sentences
    assert list(decode(data[: end - 1])) == whole


@pytest.mark.parametrize("data", [b"\xf8\x00", b"\xff", b"\xf0\xff\xff\xff\xff"])
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(decode(data))
    with pytest.raises(codec.GarbageError):
        codec.Decoder().feed(data)


@settings(deadline=None)
@given(st.text())
def test_our_own_texts_come_back(text: str) -> None:
    assert from_wire(to_wire(text)) == text


def test_texts_of_winbox_are_readable() -> None:
    assert from_wire("Peña – casa".encode("cp1252").decode("latin-1")) == "Peña – casa"


@settings(deadline=None)
@given(st.binary())
def test_no_bytes_break_the_reader(raw: bytes) -> None:
    assert isinstance(from_wire(raw.decode("latin-1")), str)


def answers(buffer: bytearray) -> list[Answer]:
    return list(Wire(SimpleNamespace(buffer=buffer)).answers())  # type: ignore[arg-type]


names = st.text(st.characters(max_codepoint=255, exclude_characters="="), min_size=1)
values = st.text(st.characters(max_codepoint=255), max_size=300)
tagged = st.tuples(st.sampled_from(["!re", "!done", "!trap"]), st.integers(0, 10**6), st.dictionaries(names, values))


@settings(deadline=None)
@given(st.lists(tagged, max_size=4), st.data())
def test_answers_are_taken_apart_however_they_are_cut(
    sent: list[tuple[str, int, dict[str, str]]], data: st.DataObject
) -> None:
    sentences = [
        [kind, f".tag={tag}", *(f"={name}={value}" for name, value in attributes.items())]
        for kind, tag, attributes in sent
    ]
    raw = codec.encode_sentences(sentences)
    cut = data.draw(st.integers(0, len(raw)))
    buffer = bytearray(raw[:cut])
    found = answers(buffer)
    buffer += raw[cut:]
    found += answers(buffer)
    assert not buffer
    assert [(kind, tag, attributes) for kind, tag, attributes, _whole in found] == [
        (kind, str(tag), attributes) for kind, tag, attributes in sent
    ]
    assert "".join(whole for *_rest, whole in found) == raw.decode("latin-1")
    assert [next(decode(whole.encode("latin-1")))[0] for *_rest, whole in found] == sentences


@pytest.mark.parametrize("word", ["=name", "name", "?name=x"])
def test_a_word_that_is_neither_attribute_nor_tag_is_no_answer_and_what_came_before_is(word: str) -> None:
    buffer = bytearray(codec.encode_sentences([["!done", ".tag=1"], ["!re", ".tag=2", word]]))
    read = Wire(SimpleNamespace(buffer=buffer)).answers()  # type: ignore[arg-type]
    assert next(read)[:2] == ("!done", "1")
    with pytest.raises(ProtocolError):
        next(read)


def test_a_farewell_is_plain_text() -> None:
    (answer,) = answers(bytearray(codec.encode_sentence(["!fatal", "too many", "=commands="])))
    assert answer[0] == "!fatal"
