//go:build linux && !race

package core_test

import (
	"testing"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk/blockio"
	"tsrun/sdk/tag"
)

const allocStream = 3

// The race detector allocates; without it, nothing does: a block goes from a driver
// through the core to two sinks, of which one can be resumed, in memory that is there
// already; and to one that reads it in place.
func TestABlockAllocatesNothing(t *testing.T) {
	t.Run("through sockets", func(t *testing.T) {
		n := newNode(t)
		n.Retained = 8 * 4096 * 8 // so that it is soon full, and its memory is used again
		in := n.inlet("tc", allocStream)
		kept, _ := n.kept("kept", allocStream)
		plain := n.outlet("plain", allocStream)
		n.start()
		allocatesNothing(t, n, in, blockio.NewReader(dial(t, kept, zmq4.Pull)), blockio.NewReader(dial(t, plain, zmq4.Pull)))
	})
	t.Run("in place", func(t *testing.T) {
		n := newNode(t)
		n.Retained = 8 * 4096 * 8
		in := n.inlet("tc", allocStream)
		kept, ring := n.kept("kept", allocStream)
		n.start()
		allocatesNothing(t, n, in, readInPlace(t, kept, ring).Reader)
	})
}

func allocatesNothing(t *testing.T, n *node, in string, sinks ...*blockio.Reader) {
	t.Helper()
	const tagsPerBlock, warm, runs = 4096, 50, 200
	driver := dial(t, in, zmq4.Push)
	tags := make([]uint64, tagsPerBlock)
	block := tag.Block{Kind: tag.Data, Run: run, Stream: allocStream, Tags: tags}
	var header [tag.HeaderSize]byte
	send := func() {
		for i := range tags {
			tags[i] = block.Until + uint64(i)
		}
		block.Until += tagsPerBlock
		block.EncodeHeader(header[:])
		block.Seq++
		if err := driver.Send(patience, header[:], tag.AsBytes(tags)); err != nil {
			t.Fatal(err)
		}
		for _, s := range sinks {
			m, err := s.Next()
			if err == nil {
				err = m.Check()
			}
			if err != nil || m.Head.Last != block.Until-1 {
				t.Fatalf("block %d: %v, %v", block.Seq, m, err)
			}
			if s.Ring != nil {
				if !s.Ring.Hold() {
					t.Fatalf("block %d does not lie in the ring", block.Seq)
				}
				s.Ring.LetGo()
			}
		}
		n.Core.Acknowledge("kept", allocStream, block.Until)
	}
	for range warm {
		send()
	}
	if got := testing.AllocsPerRun(runs, send); got > 0 {
		t.Errorf("%v allocations per block", got)
	}
}
