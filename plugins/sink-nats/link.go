package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tsrun/sdk"
	"tsrun/sdk/tagfile/pack"
)

const (
	// askedWithin bounds a question about the stream, ackWithin the wait for one
	// acknowledgement.
	askedWithin = 5 * time.Second
	ackWithin   = 15 * time.Second
	// headRoom is what the headers of a message take at most.
	headRoom = 4 << 10
	// settled is how often the stream is asked where it stands while messages of a
	// connection before are still coming in.
	settled = 20
	// wrongLastMsgID is how a server says that another message came before.
	wrongLastMsgID jetstream.ErrorCode = 10070
	streamHint                         = "the server needs JetStream (nats-server -js, or tsrun hub), and its user the right to make streams"
)

// said adds to an error what the server has said of it by itself: it answers nothing where a
// user may not write or ask, and says so beside.
func said(conn *nats.Conn, err error) error {
	if last := conn.LastError(); err != nil && last != nil && !errors.Is(err, last) {
		return fmt.Errorf("%w; the server says: %.300s", err, strings.Join(strings.Fields(last.Error()), " "))
	}
	return err
}

// link is one connection to the server. It publishes with the number that the message
// has to get in the stream, so that the server refuses one that comes twice, or
// behind a gap, however long the one before is ago.
type link struct {
	conn   *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
	last   uint64 // number of the last message that is stored or on its way
	before string // its identifier; "" as long as this link has sent none
	most   int    // messages on their way
	flying []flight
	acked  func(flight)
	says   promise
}

// flight is a message that waits for its acknowledgement.
type flight struct {
	future jetstream.PubAckFuture
	number uint64 // in the stream
	of     *channel
	tags   uint64
}

// errMoved says that the stream is not where it was: somebody has to ask anew.
var errMoved = errors.New("the stream stands elsewhere")

// openLink connects, makes the stream where there is none, and says how the server
// keeps it.
func openLink(ctx context.Context, c config, name, subjects string) (*link, error) {
	conn, err := c.dial()
	if err != nil {
		return nil, err
	}
	l := &link{conn: conn, most: c.Window}
	if err := l.open(ctx, c, name, subjects); err != nil {
		conn.Close()
		return nil, err
	}
	return l, nil
}

func (l *link) open(ctx context.Context, c config, name, subjects string) error {
	if most := l.conn.MaxPayload(); most < pack.MaxSize+headRoom {
		return &sdk.Failure{Code: "nats-payload", Message: fmt.Sprintf("reach the NATS server: it takes messages of %d bytes, a block may have %d", most, pack.MaxSize+headRoom),
			Hint: "set max_payload of the server to 1MB, its default"}
	}
	var err error
	if l.js, err = jetstream.New(l.conn, jetstream.WithDefaultTimeout(askedWithin), jetstream.WithPublishAsyncMaxPending(2*mostWindow)); err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, askedWithin)
	defer cancel()
	l.stream, err = streamOf(ctx, l.js, jetstream.StreamConfig{Name: name, Subjects: []string{subjects}, Replicas: c.Replicas,
		Duplicates: 2 * time.Minute, Description: "time tags of one node in one run of tsrun"})
	if err != nil {
		return err
	}
	l.says = promiseOf(l.conn, l.stream.CachedInfo().Config, c.Sync)
	return nil
}

// streamOf is a stream of the subjects that are wanted. It is made where there is none.
func streamOf(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) (jetstream.Stream, error) {
	want.Storage, want.Discard, want.AllowDirect = jetstream.FileStorage, jetstream.DiscardNew, true
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, want)
	}
	if err = said(js.Conn(), err); err != nil {
		return nil, &sdk.Failure{Code: "nats-stream", Message: fmt.Sprintf("make the stream %s at the NATS server: %v", want.Name, err),
			Hint: streamHint}
	}
	if is := stream.CachedInfo().Config.Subjects; !slices.Equal(is, want.Subjects) {
		return nil, &sdk.Failure{Code: "nats-stream", Message: fmt.Sprintf("the stream %s is there, and it is of %.200q", want.Name, is),
			Hint: "give the sink another prefix"}
	}
	return stream, nil
}

func (l *link) close() { l.conn.Close() }

// ask finds how far the stream and each channel in it have come.
func (l *link) ask(ctx context.Context, channels []*channel) error {
	for range settled {
		before, err := l.lastNumber(ctx)
		if err != nil {
			return err
		}
		for _, c := range channels {
			if c.place, err = l.placeOf(ctx, c.subject); err != nil {
				return err
			}
		}
		if l.last, err = l.lastNumber(ctx); err != nil {
			return err
		}
		if l.last == before {
			return nil
		}
	}
	return fmt.Errorf("ask the stream where it stands: it grows while nobody of this run writes: %w", errMoved)
}

func (l *link) lastNumber(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, askedWithin)
	defer cancel()
	info, err := l.stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask the stream where it stands: %w", err)
	}
	return info.State.LastSeq, nil
}

// placeOf is where the next message of a channel stands.
func (l *link) placeOf(ctx context.Context, subject string) (place, error) {
	ctx, cancel := context.WithTimeout(ctx, askedWithin)
	defer cancel()
	m, err := l.stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return place{}, nil
	}
	if err != nil {
		return place{}, fmt.Errorf("ask for the last message of %s: %w", subject, err)
	}
	h, err := readHead(m.Header)
	if err != nil {
		return place{}, &sdk.Failure{Code: "nats-foreign", Message: fmt.Sprintf("the last message of %s is not of this sink: %v", subject, err),
			Hint: "somebody else writes into the streams of tsrun: give the sink a prefix or the server a user of its own"}
	}
	return h.after(), nil
}

// send puts a message on its way; where the window is full it waits for the oldest.
func (l *link) send(ctx context.Context, m *nats.Msg, of *channel, tags uint64) error {
	for len(l.flying) >= l.most {
		if err := l.await(ctx); err != nil {
			return err
		}
	}
	expect := []jetstream.PublishOpt{jetstream.WithExpectLastSequence(l.last), jetstream.WithRetryAttempts(0)}
	if l.before != "" { // or somebody else's would take the place of one that was refused
		expect = append(expect, jetstream.WithExpectLastMsgID(l.before))
	}
	future, err := l.js.PublishMsgAsync(m, expect...)
	if err != nil {
		return fmt.Errorf("send a message: %w", err)
	}
	l.last++
	l.before = m.Header.Get(jetstream.MsgIDHeader)
	l.flying = append(l.flying, flight{future, l.last, of, tags})
	return nil
}

// settle waits until nothing is on its way.
func (l *link) settle(ctx context.Context) error {
	for len(l.flying) > 0 {
		if err := l.await(ctx); err != nil {
			return err
		}
	}
	return nil
}

// await takes the acknowledgement of the oldest message.
func (l *link) await(ctx context.Context) error {
	f := l.flying[0]
	late := time.NewTimer(ackWithin)
	defer late.Stop()
	select {
	case ack := <-f.future.Ok():
		if ack.Sequence != f.number {
			return fmt.Errorf("message %d is there as %d: %w", f.number, ack.Sequence, errMoved)
		}
	case err := <-f.future.Err():
		if api := (*jetstream.APIError)(nil); errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == wrongLastMsgID) {
			return fmt.Errorf("message %d: %w: %w", f.number, errMoved, err)
		}
		return said(l.conn, fmt.Errorf("message %d was not acknowledged: %w", f.number, err))
	case <-late.C:
		return said(l.conn, fmt.Errorf("message %d was not acknowledged within %v", f.number, ackWithin))
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	l.flying = l.flying[1:]
	l.acked(f)
	return nil
}
