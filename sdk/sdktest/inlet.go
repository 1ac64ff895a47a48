package sdktest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk/blockio"
	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

// inlet is where the tags of one shot arrive: the core, as a driver sees it. It
// checks every block and its tags.
type inlet struct {
	listener *zmtp.Listener
	endpoint string
	done     chan struct{} // closed when every stream has ended, or err is set

	mu      sync.Mutex // held by a consumer that pauses
	conn    *zmtp.Conn
	dropped bool
	streams map[uint16]*arrived
	err     error
}

// arrived is what has come of one stream.
type arrived struct {
	seq         tag.Sequence
	tags, lost  uint64
	first, last uint64 // ps; 0 without tags
	gap         uint64 // ps: the longest between two tags without a loss
	offTick     uint64 // tags that are no multiple of the resolution
}

// newInlet listens for one driver that brings the streams of a run.
func newInlet(ctx context.Context, dir string, run tag.RunID, streams []uint16, resolution uint64) (*inlet, error) {
	path := filepath.Join(dir, fmt.Sprintf("in-%d", run[0]))
	listener, err := zmtp.Listen("unix", path, zmq4.Pull, zmtp.Options{MaxConns: 1, MaxFrame: tag.MaxPayload})
	if err != nil {
		return nil, err
	}
	in := &inlet{listener: listener, endpoint: "ipc://" + path, done: make(chan struct{}), streams: map[uint16]*arrived{}}
	for _, id := range streams {
		in.streams[id] = &arrived{seq: tag.Sequence{Run: run, Stream: id}}
	}
	go func() {
		defer close(in.done)
		if err := in.receive(ctx, max(1, resolution)); err != nil {
			in.mu.Lock()
			in.err = err
			in.mu.Unlock()
		}
	}()
	return in, nil
}

func (in *inlet) receive(ctx context.Context, resolution uint64) error {
	conn, err := in.listener.Accept(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	in.mu.Lock()
	in.conn = conn
	dropped := in.dropped // meanwhile
	in.mu.Unlock()
	if dropped {
		return errors.New("the connection was dropped")
	}
	defer in.listener.Close()
	blocks := blockio.NewReader(conn)
	for open := len(in.streams); open > 0; {
		m, err := blocks.Next()
		switch {
		case err == io.EOF:
			return fmt.Errorf("the driver left before the End of %d of its streams", open)
		case err != nil:
			return err
		}
		s := in.streams[m.Head.Stream]
		if s == nil {
			return fmt.Errorf("a block of stream %d came, which was not asked for", m.Head.Stream)
		}
		block := m.Block()
		in.mu.Lock()
		err = errors.Join(m.Check(), s.seq.Accept(m.Head))
		if err == nil {
			s.take(block, resolution)
		}
		in.mu.Unlock()
		if err != nil {
			return err
		}
		if block.Kind == tag.End {
			open--
		}
	}
	return nil
}

// take counts the tags of a block. What was lost is lost before it.
func (a *arrived) take(b tag.Block, resolution uint64) {
	a.lost += b.Lost
	for i, t := range b.Tags {
		if a.tags > 0 && (i > 0 || b.Lost == 0) {
			a.gap = max(a.gap, t-a.last)
		}
		if a.tags == 0 {
			a.first = t
		}
		if t%resolution != 0 {
			a.offTick++
		}
		a.tags++
		a.last = t
	}
}

// pause keeps everything from being taken until the function that it returns is
// called.
func (in *inlet) pause() (resume func()) {
	in.mu.Lock()
	return in.mu.Unlock
}

// close ends all of it.
func (in *inlet) close() {
	in.drop()
	<-in.done
}

// drop ends the connection, as a core that has died.
func (in *inlet) drop() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.dropped = true; in.conn != nil {
		in.conn.Close()
	}
	in.listener.Close()
}

// total is how many tags have come, and how far the streams have: the latest
// time that all have reached.
func (in *inlet) total() (tags, until uint64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	until = ^uint64(0)
	for _, s := range in.streams {
		tags += s.tags
		until = min(until, s.seq.Until())
	}
	return tags, until
}

// came says whether any tag has come, or was told to be lost.
func (in *inlet) came() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, s := range in.streams {
		if s.tags+s.lost > 0 {
			return true
		}
	}
	return false
}
