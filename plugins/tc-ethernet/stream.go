package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"tsrun/sdk/instrument"
	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

const (
	tagBytes = 8

	// pieceTags is how many tags are held at once of a message: 32 MiB, which
	// is a record of 200 ms at twice the rate the device can send. Messages
	// can be 25 times as large and are then passed on in pieces.
	pieceTags = 4 << 20
	readSize  = 1 << 20 // bytes asked of the connection at once

	// spareBuffers are kept for the next messages.
	spareBuffers = 4
)

// piece is a part of a message, nearly always all of it.
type piece struct {
	at          time.Time // when the message began to arrive
	size        uint64    // tags in the whole message
	first, last bool      // piece of its message
	buffer      *buffer
	tags        []uint64 // within buffer
}

// buffer is room for the tags of a piece.
type buffer struct {
	bytes   []byte
	scratch []uint64 // for machines that need a copy
}

// stream takes the messages of one channel from the service.
type stream struct {
	conn    *zmtp.Conn
	waiting *atomic.Bool // for the next message, with none before it in hand
	pieces  chan piece
	spare   chan *buffer
	err     error // why the stream ended, once pieces is closed; nil: by the service's end mark
}

func newStream(conn *zmtp.Conn, waiting *atomic.Bool) *stream {
	return &stream{conn: conn, waiting: waiting, pieces: make(chan piece), spare: make(chan *buffer, spareBuffers)}
}

// errClosed is a stream that the service closed without an end mark.
var errClosed = errors.New("the DataLinkTarget service closed the stream")

// read reads messages until the service says that there are no more, the
// connection ends, or ctx does. Closing the connection wakes it.
func (s *stream) read(ctx context.Context) {
	defer close(s.pieces)
	for {
		s.waiting.Store(true)
		size, more, err := s.conn.NextFrame()
		s.waiting.Store(false)
		switch {
		case errors.Is(err, io.EOF):
			s.err = errClosed
		case err != nil:
			s.err = err
		case more || size%tagBytes != 0:
			s.err = fmt.Errorf("read stream: a message of %d bytes is not one of tags", size)
		case size == 0:
			return
		default:
			s.err = s.readMessage(ctx, time.Now(), size/tagBytes)
		}
		if s.err != nil {
			return
		}
	}
}

// readMessage passes one message on, in pieces when it is large.
func (s *stream) readMessage(ctx context.Context, at time.Time, size uint64) error {
	for left := size; left > 0; {
		n := min(left, pieceTags)
		p := piece{at: at, size: size, first: left == size, last: left == n}
		if err := s.fill(&p, int(n)); err != nil {
			return err
		}
		left -= n
		select {
		case s.pieces <- p:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// fill reads n tags into a buffer.
func (s *stream) fill(p *piece, n int) error {
	select {
	case p.buffer = <-s.spare:
	default:
		p.buffer = &buffer{}
	}
	if b := p.buffer; cap(b.bytes) < n*tagBytes {
		b.bytes = tag.AsBytes(make([]uint64, n)) // aligned, so that it can be looked at as tags
	}
	bytes := p.buffer.bytes[:n*tagBytes]
	for done := 0; done < len(bytes); {
		k, err := s.conn.Read(bytes[done:min(done+readSize, len(bytes))])
		if err != nil {
			return err
		}
		done += k
	}
	p.tags = tag.AsTags(bytes, p.buffer.scratch)
	p.buffer.scratch = p.tags
	return nil
}

// recycle takes a buffer back.
func (s *stream) recycle(b *buffer) {
	select {
	case s.spare <- b:
	default:
	}
}

// dlt speaks the command language of the DataLinkTarget service: lines of text
// with options, answered in JSON.
type dlt struct{ *instrument.Client }

// status is what the service knows of one acquisition.
type status struct {
	records    int           // completed, also those without a tag
	tags       uint64        // received so far
	inactivity time.Duration // since the last message from the Time Controller
	errors     []string
}

// serviceError is a command that the service refused.
type serviceError struct {
	command, description string
}

func (e *serviceError) Error() string {
	return fmt.Sprintf("the DataLinkTarget service refused %q: %s", e.command, instrument.Quote(e.description))
}

// order carries out one command, once, and returns the value of its reply.
func (d dlt) order(ctx context.Context, command string) (json.RawMessage, error) {
	reply, err := d.Ask(ctx, command)
	return d.value(command, reply, err)
}

// query asks a question, which may be asked again, and returns the value of the
// reply.
func (d dlt) query(ctx context.Context, question string) (json.RawMessage, error) {
	reply, err := d.Query(ctx, question)
	return d.value(question, reply, err)
}

func (d dlt) value(command, reply string, err error) (json.RawMessage, error) {
	if err != nil {
		return nil, err
	}
	value, err := parseReply(command, reply)
	if err != nil {
		return nil, fmt.Errorf("ask the %s: %w", d.Name, err)
	}
	return value, nil
}

// list returns the identifiers of all open acquisitions.
func (d dlt) list(ctx context.Context) ([]string, error) {
	value, err := d.query(ctx, "list")
	if err != nil || value == nil {
		return nil, err
	}
	var ids []string
	if err := json.Unmarshal(value, &ids); err != nil {
		return nil, fmt.Errorf("read the list of acquisitions %s: %w", instrument.Quote(string(value)), err)
	}
	return ids, nil
}

// startStream opens an acquisition of a channel and returns its identifier.
// From then on the service listens at the port for who takes the tags.
func (d dlt) startStream(ctx context.Context, id, address string, channel, port int) (string, error) {
	value, err := d.order(ctx, fmt.Sprintf("start-stream --id %s --address %s --channel %d --stream-port %d", id, address, channel, port))
	if err != nil {
		return "", err
	}
	var opened struct {
		ID string `json:"id"`
	}
	if value != nil {
		if err := json.Unmarshal(value, &opened); err != nil {
			return "", fmt.Errorf("read the reply to start-stream %s: %w", instrument.Quote(string(value)), err)
		}
	}
	if opened.ID == "" {
		return id, nil
	}
	return opened.ID, nil
}

// status asks after an acquisition.
func (d dlt) status(ctx context.Context, id string) (status, error) {
	value, err := d.query(ctx, "status --id "+id)
	if err != nil {
		return status{}, err
	}
	return parseStatus(value)
}

// stop closes an acquisition and returns its last status, which some versions
// leave out; then known is false.
func (d dlt) stop(ctx context.Context, id string) (last status, known bool, err error) {
	value, err := d.order(ctx, "stop --id "+id)
	if err != nil || value == nil {
		return status{}, false, err
	}
	var stopped struct {
		Status json.RawMessage `json:"status"`
	}
	if err := json.Unmarshal(value, &stopped); err != nil || stopped.Status == nil {
		return status{}, false, nil
	}
	last, err = parseStatus(stopped.Status)
	return last, err == nil, err
}

// parseReply checks a reply for the service's error object. An empty reply is
// no value.
func parseReply(command, reply string) (json.RawMessage, error) {
	reply = strings.TrimSpace(reply)
	if reply == "" {
		return nil, nil
	}
	if !json.Valid([]byte(reply)) {
		return nil, fmt.Errorf("the reply %s to %q is not JSON", instrument.Quote(reply), command)
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(reply), &fields) == nil {
		if text, failed := fields["error"]; failed {
			var reason struct {
				Description string `json:"description"`
			}
			if json.Unmarshal(text, &reason) != nil || reason.Description == "" {
				reason.Description = string(text)
			}
			return nil, &serviceError{command: command, description: reason.Description}
		}
	}
	return json.RawMessage(reply), nil
}

// parseStatus reads a status object. The time of inactivity has had two names.
func parseStatus(value json.RawMessage) (status, error) {
	var raw struct {
		Records       *int     `json:"acquisitions_count"`
		Tags          *uint64  `json:"timestamps_count"`
		Inactivity    *float64 `json:"inactivity"`
		InactivityOld *float64 `json:"seconds_since_last_activity"`
		Errors        []struct {
			Description string `json:"description"`
		} `json:"errors"`
	}
	if len(value) == 0 {
		return status{}, errors.New("read status: the reply is empty")
	}
	if err := json.Unmarshal(value, &raw); err != nil {
		return status{}, fmt.Errorf("read status %s: %w", instrument.Quote(string(value)), err)
	}
	if raw.Records == nil || raw.Tags == nil || *raw.Records < 0 {
		return status{}, fmt.Errorf("read status %s: acquisitions_count or timestamps_count is missing", instrument.Quote(string(value)))
	}
	s := status{records: *raw.Records, tags: *raw.Tags}
	if raw.Inactivity == nil {
		raw.Inactivity = raw.InactivityOld
	}
	if raw.Inactivity != nil {
		const longest = 1e9 // seconds; more would not fit a Duration
		s.inactivity = time.Duration(min(max(*raw.Inactivity, 0), longest) * float64(time.Second))
	}
	for _, e := range raw.Errors {
		s.errors = append(s.errors, e.Description)
	}
	return s, nil
}
