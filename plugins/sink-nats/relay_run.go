package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tsrun/sdk"
	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

const (
	mergedHeader = "Tsrun-Merged" // what the run says of the message, as JSON
	// mergedVersion is that of the messages of a live sink which is understood.
	mergedVersion = 1
	mergedTags    = 1 << 16 // of a message, at most
	mergedHead    = 256 << 10
	mergedMost    = 10*mergedTags + mergedHead + headRoom
	// tryFor is how long a message is tried again at a server that does not take it. The
	// run goes on meanwhile, and drops what does not fit this subscriber's queue.
	tryFor = 5 * time.Second
)

// merged is a message of a live sink; its keys are in docs/live.md.
type merged struct {
	Kind      string `json:"kind"`
	Version   int    `json:"version"`
	Run       string `json:"run"`
	Sink      string `json:"sink"`
	Seq       uint64 `json:"seq"`
	Simulated bool   `json:"simulated"`
	Tags      int    `json:"tags"`

	text    []byte // of all keys
	payload []byte // times, then channels
}

// relay brings the messages of one run to a NATS server.
type relay struct {
	config  mergedConfig
	run     string
	said    sdk.MergedAnswer
	due     uint64 // number of the next message
	sink    string
	conn    *nats.Conn // nil: away
	js      jetstream.JetStream
	refused error     // why the server did not take the last that was dropped
	resting time.Time // until then it is not tried again, so that what it takes to try delays no more messages
}

// work relays until the run says that nothing more comes.
func (r *relay) work(ctx context.Context, from *zmtp.Conn) error {
	defer context.AfterFunc(ctx, func() { from.Close() })()
	for !r.said.Ended {
		m, err := nextMerged(from)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, io.EOF):
			return &sdk.Failure{Code: "merged-cut", Message: "the run was over before it had said its end here", Hint: "it was given up, or this sink stood still at its end"}
		case err != nil:
			return fmt.Errorf("hear the merged tags: %w", err)
		}
		if err := r.take(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// nextMerged reads one message. A run may take as long as it likes to send it; when its
// process ends, so does the connection.
func nextMerged(from *zmtp.Conn) (m merged, err error) {
	frames, limits := [4][]byte{}, [4]int{256, mergedHead, 8 * mergedTags, 2 * mergedTags}
	n, more := 0, true
	for ; more; n++ {
		if n == len(frames) {
			return m, errors.New("a message of more than 4 frames; this is no live sink")
		}
		if frames[n], more, err = from.ReadFrame(make([]byte, limits[n])); err != nil {
			return m, err
		}
	}
	return decodeMerged(frames[:n])
}

// decodeMerged reads a message of a live sink of its frames.
func decodeMerged(frames [][]byte) (m merged, err error) {
	n := len(frames)
	if n < 2 {
		return m, errors.New("a message of one frame; this is no live sink")
	}
	if err := json.Unmarshal(frames[1], &m); err != nil {
		return m, fmt.Errorf("a message whose second frame is no JSON; this is no live sink: %w", err)
	}
	if m.Version != mergedVersion || !isRun(m.Run) || m.Sink != string(frames[0]) || !token.MatchString(m.Sink) {
		return m, fmt.Errorf("a message of version %d, run %.40q and sink %.40q; this relay knows version %d", m.Version, m.Run, m.Sink, mergedVersion)
	}
	var times, channels []byte
	if n == 4 {
		times, channels = frames[2], frames[3]
	}
	if m.Kind == "tags" && (n != 4 || m.Tags < 0 || m.Tags > mergedTags || len(times) != 8*m.Tags || len(channels) != 2*m.Tags) || m.Kind != "tags" && n != 2 {
		return m, fmt.Errorf("a message of %d tags in %d frames of %d and %d bytes", m.Tags, n, len(times), len(channels))
	}
	var text bytes.Buffer // without line ends, which a header must not have
	if err := json.Compact(&text, frames[1]); err != nil {
		return m, err
	}
	m.text, m.payload = text.Bytes(), append(times, channels...)
	return m, nil
}

// take publishes a message, and counts what is missing before it.
func (r *relay) take(ctx context.Context, m merged) error {
	if r.sink == "" {
		r.sink = m.Sink
	}
	if m.Run != r.run || m.Sink != r.sink || m.Seq < r.due {
		return fmt.Errorf("message %d of sink %s of run %s is there, due was %d of %s of %s", m.Seq, m.Sink, m.Run, r.due, r.sink, r.run)
	}
	r.said.Missed, r.due = r.said.Missed+m.Seq-r.due, m.Seq+1
	r.said.Ended = m.Kind == "end"
	if time.Now().Before(r.resting) {
		r.said.Dropped++
		return nil
	}
	err := r.publish(ctx, r.message(m))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		r.said.Dropped, r.refused, r.resting = r.said.Dropped+1, err, time.Now().Add(tryFor)
		return nil
	}
	r.said.Messages, r.said.Tags = r.said.Messages+1, r.said.Tags+uint64(m.Tags)
	return nil
}

// message is what is stored. Its identifier keeps the server from storing it twice.
func (r *relay) message(m merged) *nats.Msg {
	msg := nats.NewMsg(r.said.Where)
	msg.Data = m.payload
	for key, value := range map[string]string{
		nats.MsgIdHdr: r.said.Where + "." + m.Sink + "." + strconv.FormatUint(m.Seq, 10), schemaHeader: schema, mergedHeader: string(m.text),
		simulatedHeader: strconv.FormatBool(m.Simulated), sumHeader: fmt.Sprintf("%08x", crc32.Checksum(m.payload, tag.Castagnoli)),
	} {
		msg.Header.Set(key, value)
	}
	return msg
}

// publish stores a message, over a new connection where that is needed.
func (r *relay) publish(ctx context.Context, m *nats.Msg) (err error) {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	for {
		if r.conn == nil {
			err = r.dial()
		}
		if r.conn != nil {
			if err = r.store(ctx, m); err == nil {
				return nil
			}
			err = said(r.conn, err)
			r.hangUp()
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(again):
		}
	}
}

// store makes the stream where there is none, and waits for the acknowledgement.
func (r *relay) store(ctx context.Context, m *nats.Msg) error {
	_, err := r.js.PublishMsg(ctx, m)
	if !errors.Is(err, jetstream.ErrNoStreamResponse) {
		return err
	}
	_, err = r.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: r.config.Prefix + "_" + r.run + "-merged", Subjects: []string{r.said.Where},
		Storage: jetstream.FileStorage, Replicas: r.config.Replicas, Discard: jetstream.DiscardNew, Duplicates: 2 * time.Minute, AllowDirect: true, Description: "corrected time tags of all nodes in one run of tsrun"})
	if err != nil {
		return &sdk.Failure{Code: "nats-stream", Message: fmt.Sprintf("make the stream of %s: %v", r.said.Where, err), Hint: streamHint}
	}
	_, err = r.js.PublishMsg(ctx, m)
	return err
}

func (r *relay) dial() (err error) {
	if r.conn, err = r.config.dial(); err != nil {
		r.conn = nil
		return err
	}
	if r.js, err = jetstream.New(r.conn, jetstream.WithDefaultTimeout(askedWithin)); err != nil {
		r.hangUp()
	}
	return err
}

// look finds what keeps a server from ever taking the messages, so that it is told at once.
func (r *relay) look(ctx context.Context) error {
	if most := int(r.conn.MaxPayload()); most < mergedMost {
		return &sdk.Failure{Code: "nats-payload", Message: fmt.Sprintf("reach the NATS server: it takes messages of %d bytes, one of merged tags may have %d", most, mergedMost),
			Hint: "set max_payload of the server to 1MB, its default"}
	}
	ctx, cancel := context.WithTimeout(ctx, askedWithin)
	defer cancel()
	// What else the answer may be is seen when a message is stored: a user may not be let ask.
	if _, err := r.js.AccountInfo(ctx); errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		return &sdk.Failure{Code: "nats-stream", Message: fmt.Sprintf("make the stream of %s: %v", r.said.Where, err), Hint: streamHint}
	}
	return nil
}

func (r *relay) hangUp() {
	if r.conn != nil {
		r.conn.Close()
		r.conn = nil
	}
}
