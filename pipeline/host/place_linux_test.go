package host

import (
	"context"
	"strings"
	"testing"

	"github.com/go-zeromq/zmq4"

	"tsrun/pipeline/core"
	"tsrun/sdk"
	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

func init() {
	roles["sink-reads"] = func() { sdk.Serve(placePlugin("sink-reads", sdk.SinkType.InPlace)) }
	roles["sink-takes"] = func() {
		sdk.Serve(placePlugin("sink-takes", func(s sdk.SinkType) sdk.SinkType { return s }))
	}
}

func placePlugin(name string, in func(sdk.SinkType) sdk.SinkType) sdk.Plugin {
	return sdk.Plugin{Name: name, Sinks: []sdk.SinkType{in(sdk.NewSink(name, struct{}{}, func(context.Context, sdk.Env, struct{}) (sdk.Sink, error) {
		return &placeSink{}, nil
	}))}}
}

// placeSink tells how many of its tags it could hold.
type placeSink struct {
	r    sdk.Recording
	held uint64
}

func (k *placeSink) Begin(_ context.Context, r sdk.Recording) error {
	k.r = r
	return nil
}

func (k *placeSink) Write(_ context.Context, b *tag.Block) error {
	if k.r.Hold != nil && k.r.Hold() {
		k.held += uint64(len(b.Tags))
		k.r.LetGo()
	} else if len(b.Tags) > 0 {
		b.Tags[0]++ // it may: they are its own
	}
	return nil
}

func (k *placeSink) Finish(context.Context) error {
	k.r.Kept(k.r.Streams[0].Stream, k.held)
	return nil
}

func (k *placeSink) Close() error { return nil }

// TestConfinedSinkReadsInPlace: a sink that says that it only reads gets the core's memory,
// confined as it is; one that does not say it gets tags of its own.
func TestConfinedSinkReadsInPlace(t *testing.T) {
	const stream, blocks, length = 1, 100, 1 << 15 // 25 MiB
	for name, want := range map[string]uint64{"sink-reads": blocks * length, "sink-takes": 0} {
		t.Run(name, func(t *testing.T) {
			h, _ := newHost(t, name)
			h.confine = true
			k, err := h.StartSink(t.Context(), Spec{Plugin: name, Instance: "alice.raw"})
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close(context.Background())
			if plugin := k.Plugin(); !plugin.Confined {
				t.Logf("not confined: %s", plugin.Unconfined)
			}
			c := core.New(h.runtime, nil)
			in, err := c.Inlet("alice.tc", []uint16{stream})
			if err != nil {
				t.Fatal(err)
			}
			out, err := c.Outlet("alice.raw", []uint16{stream})
			if err != nil {
				t.Fatal(err)
			}
			ring, err := c.Retain("alice.raw")
			if err != nil {
				t.Fatal(err)
			}
			c.Patience = wait
			done := make(chan error, 1)
			go func() { done <- c.Run(t.Context()) }()
			if err := k.Begin(t.Context(), sdk.Recording{Dir: t.TempDir(), Streams: []sdk.RecordedStream{{Stream: stream, Name: "a"}}}, out, ring); err != nil {
				t.Fatal(err)
			}
			driver, err := zmtp.Dial(t.Context(), "unix", strings.TrimPrefix(in, "ipc://"), zmq4.Push)
			if err != nil {
				t.Fatal(err)
			}
			defer driver.Close()
			var header [tag.HeaderSize]byte
			for i := range uint64(blocks + 1) {
				b := tag.Block{Kind: tag.Data, Stream: stream, Seq: i, Tags: make([]uint64, length)}
				if i == blocks {
					b.Kind, b.Tags = tag.End, nil
				}
				b.EncodeHeader(header[:])
				if err := driver.Send(wait, header[:], tag.AsBytes(b.Tags)); err != nil {
					t.Fatal(err)
				}
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			if err := k.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
			if told, ok := (<-k.Events()).(Kept); !ok || told.Tags != want {
				t.Errorf("%d tags were held, want %d", told.Tags, want)
			}
		})
	}
}
