package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tsrun/sdk"
	"tsrun/sdk/tag"
)

// The headers of a message with a result, beside those that blocks have, too;
// Tsrun-SHA256 is that of the payloads of all its messages, one behind the other.
const (
	stageHeader   = "Tsrun-Stage"   // its name in the recipe
	kindHeader    = "Tsrun-Kind"    // of the stage
	partHeader    = "Tsrun-Part"    // K/N: this is the K-th of N messages
	rowsHeader    = "Tsrun-Rows"    // of the whole table
	columnsHeader = "Tsrun-Columns" // name, unit and type of each, as JSON
)

const (
	// mostPart bounds a message at servers that take longer ones.
	mostPart = 1 << 20
	// leastRoom is what has to be left of a message beside its headers.
	leastRoom = 1 << 10
	// repeated is how long a server takes a message for a repeated one by its identifier
	// alone. What is stored is asked for, so it is short: values that are found again
	// after others have to be stored again.
	repeated = time.Second
)

// resultsSender brings results into the stream of a run.
type resultsSender struct {
	remote
	from   *sdk.Results
	conn   *nats.Conn // nil: away
	js     jetstream.JetStream
	stream jetstream.Stream
	moved  time.Time // when the server last took something
}

// writeResults publishes each result, and waits until the server has acknowledged it.
func writeResults(ctx context.Context, r *sdk.Results, c remote) error {
	if found := c.Check(sdk.Recording{}); len(found) > 0 {
		return found[0]
	}
	if !isRun(r.Run) {
		return fmt.Errorf("send results: %.64q is no run", r.Run)
	}
	s := &resultsSender{remote: c, from: r}
	defer s.hangUp()
	for {
		of, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case len(of.Columns) == 0 && of.Summary == nil:
			r.Without(of)
			continue
		}
		if err := s.send(ctx, of); err != nil {
			return err
		}
	}
}

// send tries until all of a result is there, or nothing moves any more.
func (s *resultsSender) send(ctx context.Context, of *sdk.Result) error {
	for s.moved = time.Now(); ; {
		parts, err := s.try(ctx, of)
		if err == nil {
			s.from.Sent(uint64(parts))
			return nil
		}
		s.hangUp()
		if f := (*sdk.Failure)(nil); errors.As(err, &f) && f.Code != "nats-unreachable" && f.Code != "nats-stream" {
			return err
		}
		if time.Since(s.moved)+again > s.Patience.Duration() {
			return &sdk.Failure{Code: "nats-behind", Message: fmt.Sprintf("the NATS server has taken nothing for %v, and not all of the result of stage %.64q is there: %v", s.Patience, of.Stage, err),
				Hint: "what the stages found is in the run directory; look at the server"}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(again):
		}
	}
}

// try sends what the stream does not end with yet.
func (s *resultsSender) try(ctx context.Context, of *sdk.Result) (parts int, err error) {
	if s.conn == nil {
		if err := s.connect(ctx); err != nil {
			return 0, err
		}
	}
	m, err := s.outline(of, min(int(s.conn.MaxPayload()), mostPart))
	if err != nil {
		return 0, err
	}
	there, last, err := s.there(ctx, m)
	if err != nil {
		return 0, err
	}
	part := 0
	err = s.parts(of, m.room, func(payload []byte) error {
		if part++; part <= there {
			return nil
		}
		within, cancel := context.WithTimeout(ctx, min(s.Patience.Duration(), askedWithin))
		defer cancel()
		ack, err := s.js.PublishMsg(within, m.message(part, payload), jetstream.WithExpectStream(s.streamName()), jetstream.WithExpectLastSequencePerSubject(last), jetstream.WithRetryAttempts(0))
		if err != nil {
			return fmt.Errorf("part %d of %d was not acknowledged: %w", part, m.parts, err)
		}
		if ack.Duplicate {
			return fmt.Errorf("part %d of %d was there before, and others since: %w", part, m.parts, errMoved)
		}
		last, s.moved = ack.Sequence, time.Now()
		return nil
	})
	return m.parts, err
}

func (s *resultsSender) streamName() string { return s.Prefix + "_" + s.from.Run + "-results" }

func (s *resultsSender) connect(ctx context.Context) (err error) {
	if s.conn, err = s.dial(); err != nil {
		s.conn = nil
		return err
	}
	if s.js, err = jetstream.New(s.conn, jetstream.WithDefaultTimeout(askedWithin)); err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, askedWithin)
	defer cancel()
	s.stream, err = streamOf(ctx, s.js, jetstream.StreamConfig{Name: s.streamName(), Subjects: []string{s.Prefix + "." + s.from.Run + ".results.*"}, Replicas: s.Replicas,
		Duplicates: repeated, Description: "what the stages of one run of tsrun found"})
	return err
}

func (s *resultsSender) hangUp() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// there is how many parts of a result the stream ends with, and the number of the
// last message of its subject.
func (s *resultsSender) there(ctx context.Context, m *resultMessages) (parts int, last uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, askedWithin)
	defer cancel()
	before, err := s.stream.GetLastMsgForSubject(ctx, m.subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("ask for the last message of %s: %w", m.subject, err)
	}
	part, _, _ := strings.Cut(before.Header.Get(partHeader), "/")
	if n, err := strconv.Atoi(part); err == nil && n > 0 && n <= m.parts && before.Header.Get(jetstream.MsgIDHeader) == m.id(n) {
		parts = n
	}
	return parts, before.Sequence, nil
}

// resultMessages are the messages of one result.
type resultMessages struct {
	subject string
	shared  nats.Header // of all of them
	room    int         // bytes of a payload
	parts   int
	sum     string // SHA-256 of the payloads, one behind the other
}

// outline finds how many messages a result makes of so many bytes at most, and its sum.
func (s *resultsSender) outline(of *sdk.Result, most int) (*resultMessages, error) {
	m := &resultMessages{subject: s.Prefix + "." + s.from.Run + ".results." + of.File, shared: nats.Header{}}
	for key, value := range map[string]string{schemaHeader: schema, stageHeader: of.Stage, kindHeader: of.Kind, simulatedHeader: strconv.FormatBool(s.from.Simulated)} {
		m.shared.Set(key, value)
	}
	columns := []sdk.ResultColumn{}
	for _, c := range of.Columns {
		columns = append(columns, c.ResultColumn)
	}
	text, err := json.Marshal(columns)
	if err != nil {
		return nil, err
	}
	m.shared.Set(columnsHeader, string(text))
	m.shared.Set(rowsHeader, strconv.Itoa(of.Rows))
	if m.room = most - len(text) - len(of.Stage) - len(of.Kind) - headRoom; m.room < leastRoom {
		return nil, &sdk.Failure{Code: "nats-payload", Message: fmt.Sprintf("send the result of stage %.64q: the names of its columns have %d bytes, and the NATS server takes messages of %d", of.Stage, len(text), most),
			Hint: "set max_payload of the server to 1MB, its default; the result is in the run directory"}
	}
	h := sha256.New()
	err = s.parts(of, m.room, func(payload []byte) error {
		m.parts++
		h.Write(payload)
		return nil
	})
	m.sum = fmt.Sprintf("%x", h.Sum(nil))
	m.shared.Set(lastHeader, m.sum)
	return m, err
}

func (m *resultMessages) id(part int) string {
	return fmt.Sprintf("%s.%s.%d/%d", m.subject, m.sum, part, m.parts)
}

func (m *resultMessages) message(part int, payload []byte) *nats.Msg {
	msg := nats.NewMsg(m.subject)
	for key, values := range m.shared {
		msg.Header[key] = values
	}
	msg.Data = payload
	msg.Header.Set(jetstream.MsgIDHeader, m.id(part))
	msg.Header.Set(partHeader, fmt.Sprintf("%d/%d", part, m.parts))
	msg.Header.Set(sumHeader, fmt.Sprintf("%08x", crc32.Checksum(payload, tag.Castagnoli)))
	return msg
}

// parts cuts the text of a result into payloads: its summary and where it is from in
// lines that begin with #, then the table as CSV. It is written anew each time, since a
// table may be long.
func (s *resultsSender) parts(of *sdk.Result, room int, take func(payload []byte) error) error {
	c := &cutter{room: room, take: take}
	if of.Summary != nil {
		line := bytes.NewBufferString("# summary ")
		if err := json.Compact(line, of.Summary); err != nil {
			return fmt.Errorf("send the result of stage %.64q: its summary: %w", of.Stage, err)
		}
		line.WriteByte('\n')
		if _, err := c.Write(line.Bytes()); err != nil {
			return err
		}
	}
	var err error
	if len(of.Columns) > 0 {
		err = s.from.WriteCSV(c, of)
	} else {
		_, err = fmt.Fprintf(c, "# %s\n", s.from.About(of))
	}
	if err == nil && len(c.held) > 0 {
		err = take(c.held)
	}
	return err
}

// cutter cuts what is written to it behind lines. One that is longer than a payload is
// cut anywhere.
type cutter struct {
	room int
	take func([]byte) error
	held []byte
}

func (c *cutter) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		if len(c.held) == c.room {
			cut := bytes.LastIndexByte(c.held, '\n') + 1
			if cut == 0 {
				cut = c.room
			}
			if err := c.take(c.held[:cut]); err != nil {
				return 0, err
			}
			c.held = append(c.held[:0], c.held[cut:]...)
		}
		n := min(len(p), c.room-len(c.held))
		c.held, p = append(c.held, p[:n]...), p[n:]
	}
	return written, nil
}
