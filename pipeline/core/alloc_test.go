//go:build !race

package core_test

import (
	"testing"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk/blockio"
	"tsrun/sdk/tag"
)

// The race detector allocates; without it, nothing does: a block goes from a driver
// through the core to two sinks, of which one can be resumed, in memory that is there
// already.
func TestABlockAllocatesNothing(t *testing.T) {
	const stream, tagsPerBlock, warm, runs = 3, 4096, 50, 200
	n := newNode(t)
	n.Retained = 8 * tagsPerBlock * 8 // so that it is soon full, and its memory is used again
	in := n.inlet("tc", stream)
	endpoints := []string{n.outlet("kept", stream), n.outlet("plain", stream)}
	n.Core.Retain("kept")
	n.start()
	var sinks []*blockio.Reader
	for _, endpoint := range endpoints {
		sinks = append(sinks, blockio.NewReader(dial(t, endpoint, zmq4.Pull)))
	}
	driver := dial(t, in, zmq4.Push)
	tags := make([]uint64, tagsPerBlock)
	block := tag.Block{Kind: tag.Data, Run: run, Stream: stream, Tags: tags}
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
		}
		n.Core.Acknowledge("kept", stream, block.Until)
	}
	for range warm {
		send()
	}
	if got := testing.AllocsPerRun(runs, send); got > 0 {
		t.Errorf("%v allocations per block", got)
	}
}
