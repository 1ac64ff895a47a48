package idq

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

const (
	sendTimeout = 30 * time.Second // of one message to a peer that does not read
	endTimeout  = 200 * time.Millisecond
)

// payload returns tags as they travel: 8 bytes each, little-endian, or 16 with
// the index behind each.
func payload(values, indices []uint64, withIndex bool) []byte {
	if !withIndex {
		return tag.AsBytes(values)
	}
	pairs := make([]uint64, 0, 2*len(values))
	for i, v := range values {
		pairs = append(pairs, v, at(indices, i))
	}
	return tag.AsBytes(pairs)
}

// at returns an index; without a reference there are none and all are 0.
func at(indices []uint64, i int) uint64 {
	if i < len(indices) {
		return indices[i]
	}
	return 0
}

// streamOutlet is a ZeroMQ PAIR socket that listens: one message per part, to
// one peer at a time. Everything waits until there is a peer; a message that a
// peer did not take whole goes to the next one.
type streamOutlet struct {
	listener *zmtp.Listener
	log      *slog.Logger

	conn    *zmtp.Conn // nil: nobody
	gone    chan struct{}
	detach  func() bool
	readers sync.WaitGroup
}

func (o *streamOutlet) write(ctx context.Context, values, indices []uint64, withIndex bool) error {
	message := payload(values, indices, withIndex)
	for {
		conn, err := o.peer(ctx, ctx)
		if err != nil {
			return fmt.Errorf("deliver %d timestamps: nobody took them: %w", len(values), err)
		}
		if err = conn.Send(sendTimeout, message); err == nil {
			return nil
		}
		o.log.Warn("stream peer lost", "peer", conn.RemoteAddr().String(), "error", err)
		o.drop()
	}
}

// peer returns the peer, and waits for one when there is none as long as ctx
// lasts. The peer is left when life ends.
func (o *streamOutlet) peer(ctx, life context.Context) (*zmtp.Conn, error) {
	if o.conn != nil {
		select {
		case <-o.gone:
			o.drop()
		default:
			return o.conn, nil
		}
	}
	conn, err := o.listener.Accept(ctx)
	if err != nil {
		return nil, err
	}
	gone := make(chan struct{})
	o.conn, o.gone = conn, gone
	o.detach = context.AfterFunc(life, func() { conn.Close() })
	o.readers.Go(func() {
		defer close(gone)
		// A client has nothing to say, but its PINGs want answers, and what it
		// says unread would cut off our last message when we close.
		buf := make([]byte, maxRequest)
		for {
			if _, _, err := conn.ReadFrame(buf); err != nil {
				return
			}
		}
	})
	return conn, nil
}

func (o *streamOutlet) drop() {
	if o.conn == nil {
		return
	}
	o.detach()
	o.conn.Close()
	<-o.gone
	o.conn = nil
}

// end sends the empty message that ends a stream. A client that nothing was
// ever sent to may be connected without having been asked in.
func (o *streamOutlet) end(ctx context.Context) error {
	soon, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	conn, err := o.peer(soon, ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // nobody to tell
	}
	if err == nil {
		err = conn.Send(sendTimeout, []byte{})
	}
	return err
}

func (o *streamOutlet) close() error {
	err := o.listener.Close()
	o.drop()
	o.readers.Wait()
	return err
}

// fileOutlet writes what start-save asked for.
type fileOutlet struct {
	file  *os.File
	w     *bufio.Writer
	ascii bool
}

func newFileOutlet(f *os.File, ascii bool) *fileOutlet {
	return &fileOutlet{file: f, w: bufio.NewWriterSize(f, 1<<20), ascii: ascii}
}

func (o *fileOutlet) write(_ context.Context, values, indices []uint64, withIndex bool) error {
	if !o.ascii {
		o.w.Write(payload(values, indices, withIndex)) // Flush returns the error
		return o.w.Flush()
	}
	var line []byte
	for i, v := range values {
		line = strconv.AppendUint(line[:0], v, 10)
		if withIndex {
			line = strconv.AppendUint(append(line, ';'), at(indices, i), 10)
		}
		o.w.Write(append(line, '\n'))
	}
	return o.w.Flush()
}

func (o *fileOutlet) end(context.Context) error { return nil }

func (o *fileOutlet) close() error { return o.file.Close() }

// discard is the outlet of an acquisition that somebody left open long ago.
type discard struct{}

func (discard) write(context.Context, []uint64, []uint64, bool) error { return nil }
func (discard) end(context.Context) error                             { return nil }
func (discard) close() error                                          { return nil }
