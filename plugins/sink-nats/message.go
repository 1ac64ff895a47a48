package main

import (
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile/pack"
)

// The headers of a message. Its payload is the tags, as package pack packs them;
// none of a message without tags.
const (
	schemaHeader    = "Tsrun-Schema"    // 1
	blockHeader     = "Tsrun-Block"     // number of the message in its channel, from 0
	segmentHeader   = "Tsrun-Segment"   // number of the segment
	firstHeader     = "Tsrun-First"     // number of its first tag in the segment, from 0
	countHeader     = "Tsrun-Count"     // tags
	sumHeader       = "Tsrun-CRC32C"    // of the payload, 8 hexadecimal digits
	streamHeader    = "Tsrun-Stream"    // number of the channel on its node
	formatHeader    = "Tsrun-Format"    // of the local file
	simulatedHeader = "Tsrun-Simulated" // true where the tags were computed and not measured
	lastHeader      = "Tsrun-SHA256"    // of the local file: the segment ends with this message
	tagsHeader      = "Tsrun-Tags"      // with it: tags of the segment
	lostHeader      = "Tsrun-Lost"      // with it: tags known lost in the segment, where that is known
	endHeader       = "Tsrun-End"       // segments of the channel: no message follows
	channelsHeader  = "Tsrun-Channels"  // with it: channels of the node
	schema          = "1"
)

// place is how far a channel has come in the stream.
type place struct {
	block   uint64 // number of the next message
	segment int    // of it
	first   uint64 // tags of the segment before it
	ended   bool
}

// head is what the headers of a message say.
type head struct {
	place     // of this message
	count     uint64
	sum       uint32
	stream    uint16
	format    string
	simulated bool
	last      string // SHA-256 of the segment that ends with it
	tags      uint64 // of that segment
	lost      string
	segments  int // of the channel that ends with it; -1: it goes on
	channels  int
}

// after is where the next message of the channel stands.
func (h head) after() place {
	p := place{h.block + 1, h.segment, h.first + h.count, h.segments >= 0}
	if h.last != "" {
		p.segment, p.first = h.segment+1, 0
	}
	return p
}

// message makes the message of a head and its payload.
func message(subject string, h head, payload []byte) *nats.Msg {
	m := &nats.Msg{Subject: subject, Data: payload, Header: nats.Header{}}
	set := func(key, value string) { m.Header[key] = []string{value} }
	number := func(key string, n uint64) { set(key, strconv.FormatUint(n, 10)) }
	set(jetstream.MsgIDHeader, subject+"."+strconv.FormatUint(h.block, 10))
	set(schemaHeader, schema)
	number(blockHeader, h.block)
	number(segmentHeader, uint64(h.segment))
	number(firstHeader, h.first)
	number(countHeader, h.count)
	set(sumHeader, fmt.Sprintf("%08x", crc32.Checksum(payload, tag.Castagnoli)))
	number(streamHeader, uint64(h.stream))
	set(formatHeader, h.format)
	set(simulatedHeader, strconv.FormatBool(h.simulated))
	if h.last != "" {
		set(lastHeader, h.last)
		number(tagsHeader, h.tags)
		if h.lost != "" {
			set(lostHeader, h.lost)
		}
	}
	if h.segments >= 0 {
		number(endHeader, uint64(h.segments))
		number(channelsHeader, uint64(h.channels))
	}
	return m
}

// readHead reads the headers of a message that somebody has written.
func readHead(of nats.Header) (h head, err error) {
	number := func(key string, most uint64) uint64 {
		n, e := strconv.ParseUint(of.Get(key), 10, 64)
		if e == nil && n > most {
			e = fmt.Errorf("%d is more than %d", n, most)
		}
		if e != nil && err == nil {
			err = fmt.Errorf("read a message: header %s: %.100v", key, e)
		}
		return n
	}
	if got := of.Get(schemaHeader); got != schema {
		return h, fmt.Errorf("read a message: %s is %q, this release knows %s", schemaHeader, clip(got), schema)
	}
	h.block, h.segment, h.first = number(blockHeader, 1<<62), int(number(segmentHeader, mostSegment)), number(firstHeader, 1<<62)
	h.count, h.stream = number(countHeader, pack.MaxTags), uint16(number(streamHeader, 1<<16-1))
	sum, e := strconv.ParseUint(of.Get(sumHeader), 16, 32)
	if e != nil && err == nil {
		err = fmt.Errorf("read a message: header %s: %.100v", sumHeader, e)
	}
	h.sum, h.format, h.simulated, h.segments = uint32(sum), of.Get(formatHeader), of.Get(simulatedHeader) == "true", -1
	if h.last = of.Get(lastHeader); h.last != "" {
		h.tags, h.lost = number(tagsHeader, 1<<62), of.Get(lostHeader)
		if !isSHA256(h.last) && err == nil {
			err = fmt.Errorf("read a message: header %s is no SHA-256", lastHeader)
		}
	}
	if of.Get(endHeader) != "" {
		h.segments, h.channels = int(number(endHeader, mostSegment+1)), int(number(channelsHeader, 1<<16))
	}
	return h, err
}

// mostSegment is the highest number that a segment has.
const mostSegment = 999_999

func isSHA256(text string) bool { return len(text) == 64 && isHex(text) }

// isRun reports whether a text is the identifier of a run.
func isRun(text string) bool { return len(text) == 32 && isHex(text) }

func isHex(text string) bool {
	return strings.Trim(text, "0123456789abcdef") == ""
}

// tagsOf unpacks the payload of a message that was received.
func tagsOf(dst []uint64, h head, payload []byte) ([]uint64, error) {
	if got := crc32.Checksum(payload, tag.Castagnoli); got != h.sum {
		return dst, fmt.Errorf("block %d: checksum %08x, its header says %08x", h.block, got, h.sum)
	}
	if len(payload) == 0 && h.count == 0 {
		return dst, nil
	}
	before := len(dst)
	dst, err := pack.Decode(dst, payload)
	if err != nil {
		return dst, fmt.Errorf("block %d: %w", h.block, err)
	}
	if got := len(dst) - before; uint64(got) != h.count {
		return dst[:before], fmt.Errorf("block %d: %d tags, its header says %d", h.block, got, h.count)
	}
	return dst, nil
}
