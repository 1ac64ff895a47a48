package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
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
	flags   *relayFlags
	said    relayed
	due     uint64 // number of the next message
	sink    string
	conn    *nats.Conn // nil: away
	js      jetstream.JetStream
	refused error // why the server did not take the last that was dropped
}

// work relays until the run says that nothing more comes.
func (r *relay) work(ctx context.Context) error {
	if err := r.dial(); err != nil { // before anything is missed
		return err
	}
	from, err := r.flags.subscribe(ctx)
	if err != nil {
		return err
	}
	defer from.Close()
	defer context.AfterFunc(ctx, func() { from.Close() })()
	for !r.said.Ended {
		m, err := r.next(from)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return &sdk.Failure{Code: "relay-silent", Message: fmt.Sprintf("nothing has come from %s for %v, and it has not ended", clip(r.flags.from), r.flags.wait), Hint: "does the run still record? --wait lets it take longer"}
		case errors.Is(err, io.EOF):
			return &sdk.Failure{Code: "relay-cut", Message: "the socket at " + clip(r.flags.from) + " was closed before the run said its end", Hint: "the run was killed, or this subscriber stood still at its end"}
		case err != nil:
			return fmt.Errorf("read from %s: %w", clip(r.flags.from), err)
		}
		if err := r.take(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// next reads one message.
func (r *relay) next(from *zmtp.Conn) (m merged, err error) {
	if err := from.SetReadDeadline(time.Now().Add(r.flags.wait)); err != nil {
		return m, err
	}
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
	if err := json.Unmarshal(frames[1], &m); err != nil {
		return m, fmt.Errorf("a message whose second frame is no JSON; this is no live sink: %w", err)
	}
	if m.Version != mergedVersion || !isRun(m.Run) || m.Sink != string(frames[0]) || !token.MatchString(m.Sink) {
		return m, fmt.Errorf("a message of version %d, run %.40q and sink %.40q; this relay knows version %d", m.Version, m.Run, m.Sink, mergedVersion)
	}
	if m.Kind == "tags" && (n != 4 || m.Tags < 0 || len(frames[2]) != 8*m.Tags || len(frames[3]) != 2*m.Tags) || m.Kind != "tags" && n != 2 {
		return m, fmt.Errorf("a message of %d tags in %d frames of %d and %d bytes", m.Tags, n, len(frames[2]), len(frames[3]))
	}
	m.text, m.payload = frames[1], append(frames[2], frames[3]...)
	return m, nil
}

// take publishes a message, and counts what is missing before it.
func (r *relay) take(ctx context.Context, m merged) error {
	if r.said.Run == "" {
		r.said.Run, r.sink, r.said.Subject = m.Run, m.Sink, r.flags.prefix+"."+m.Run+".merged"
	}
	if m.Run != r.said.Run || m.Sink != r.sink || m.Seq < r.due {
		return fmt.Errorf("message %d of sink %s of run %s is there, due was %d of %s of %s", m.Seq, m.Sink, m.Run, r.due, r.sink, r.said.Run)
	}
	r.said.Missed, r.due = r.said.Missed+m.Seq-r.due, m.Seq+1
	r.said.Ended = m.Kind == "end"
	err := r.publish(ctx, r.message(m))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		r.said.Dropped, r.refused = r.said.Dropped+1, err
		return nil
	}
	r.said.Messages, r.said.Tags = r.said.Messages+1, r.said.Tags+uint64(m.Tags)
	return nil
}

// message is what is stored. Its identifier keeps the server from storing it twice.
func (r *relay) message(m merged) *nats.Msg {
	msg := nats.NewMsg(r.said.Subject)
	msg.Data = m.payload
	for key, value := range map[string]string{
		nats.MsgIdHdr: r.said.Subject + "." + m.Sink + "." + strconv.FormatUint(m.Seq, 10), schemaHeader: schema, mergedHeader: string(m.text),
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
	_, err = r.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: r.flags.prefix + "_" + r.said.Run + "-merged", Subjects: []string{r.said.Subject},
		Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew, Duplicates: 2 * time.Minute, AllowDirect: true, Description: "corrected time tags of all nodes in one run of tsrun"})
	if err != nil {
		return &sdk.Failure{Code: "nats-stream", Message: fmt.Sprintf("make the stream of %s: %v", r.said.Subject, err), Hint: "the server needs JetStream (nats-server -js, or tsrun hub), and its user the right to make streams"}
	}
	_, err = r.js.PublishMsg(ctx, m)
	return err
}

func (r *relay) dial() (err error) {
	if r.conn, err = r.flags.dial(); err != nil {
		r.conn = nil
		return err
	}
	if r.js, err = jetstream.New(r.conn, jetstream.WithDefaultTimeout(askedWithin)); err != nil {
		r.hangUp()
	}
	return err
}

func (r *relay) hangUp() {
	if r.conn != nil {
		r.conn.Close()
		r.conn = nil
	}
}
