package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-zeromq/zmq4"
	"google.golang.org/grpc"

	"tsrun/sdk/blockio"
	"tsrun/sdk/pluginpb"
	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

// sink keeps the tags of each stream in one file.
type sink struct {
	pluginpb.UnimplementedSinkServer
	events chan *pluginpb.SinkEvent
	closed chan struct{}

	request  *pluginpb.BeginRequest
	conn     *zmtp.Conn
	ring     *blockio.Ring // nil: no blocks lie in it
	received chan struct{}
	err      error
	kept     map[uint16]*kept
	told     uint64
	finished bool
}

type kept struct {
	seq  tag.Sequence
	tags []uint64
	lost uint64
}

func newSink() *sink {
	return &sink{events: make(chan *pluginpb.SinkEvent, 100), closed: make(chan struct{}), kept: map[uint16]*kept{}}
}

func (k *sink) Configure(_ context.Context, r *pluginpb.ConfigureRequest) (*pluginpb.ConfigureResponse, error) {
	if err := configure(r.Config); err != nil {
		return nil, err
	}
	return &pluginpb.ConfigureResponse{}, nil
}

func (k *sink) Watch(_ *pluginpb.WatchRequest, out grpc.ServerStreamingServer[pluginpb.SinkEvent]) error {
	return relay(k.events, k.closed, out)
}

func (k *sink) Begin(ctx context.Context, r *pluginpb.BeginRequest) (*pluginpb.BeginResponse, error) {
	if k.request != nil {
		if has("order-of-calls:begin") {
			return &pluginpb.BeginResponse{}, nil
		}
		return nil, refuse("it has begun")
	}
	if has("no-directory") {
		_ = os.MkdirAll(r.Dir, 0o755)
	}
	if _, err := os.Stat(r.Dir); err != nil {
		return nil, refuse(err.Error())
	}
	if r.Ring != "" {
		ring, err := blockio.OpenRing(ctx, r.Ring)
		if err != nil {
			return nil, refuse(err.Error())
		}
		k.ring = ring
	}
	conn, err := zmtp.Dial(ctx, "unix", strings.TrimPrefix(r.Endpoint, "ipc://"), zmq4.Pull)
	if err != nil {
		return nil, refuse(err.Error())
	}
	k.request, k.conn, k.received = r, conn, make(chan struct{})
	for _, s := range r.Streams {
		k.kept[uint16(s.Stream)] = &kept{seq: tag.Sequence{Stream: uint16(s.Stream)}}
	}
	state.Store("running")
	go func() {
		defer close(k.received)
		if k.err = k.receive(); k.err != nil {
			k.events <- &pluginpb.SinkEvent{What: &pluginpb.SinkEvent_Failed{Failed: &pluginpb.Failure{Message: k.err.Error()}}}
		}
	}()
	return &pluginpb.BeginResponse{}, nil
}

func (k *sink) receive() error {
	blocks := blockio.NewReader(k.conn)
	blocks.Ring = k.ring
	for open := len(k.kept); open > 0; {
		m, err := blocks.Next()
		if err == io.EOF && has("core-goes") {
			return nil
		}
		if err != nil {
			return err
		}
		if !has("bad-tags") {
			if err := errors.Join(m.Check(), k.kept[m.Head.Stream].seq.Accept(m.Head)); err != nil {
				return err
			}
		}
		b := m.Block()
		if has("in-place") && len(b.Tags) > 0 && k.ring != nil {
			b.Tags[0]++ // memory that it may only read
		}
		one := k.kept[b.Stream]
		one.tags, one.lost = append(one.tags, b.Tags...), one.lost+b.Lost
		if has("killed") && len(one.tags) > 2000 && k.told == 0 {
			k.tellSoon(uint32(b.Stream))
		}
		if b.Kind == tag.End {
			open--
		}
	}
	return nil
}

// tellSoon tells of a file that is not there yet.
func (k *sink) tellSoon(stream uint32) {
	k.tell(&pluginpb.Artifact{Path: "soon.bin", Size: 16000, Kind: pluginpb.ArtifactKind_ARTIFACT_KIND_TAGS, Stream: stream})
}

func (k *sink) tell(a *pluginpb.Artifact) {
	k.told++
	k.events <- &pluginpb.SinkEvent{What: &pluginpb.SinkEvent_Closed{Closed: a}}
}

func (k *sink) Finish(context.Context, *pluginpb.FinishRequest) (*pluginpb.FinishResponse, error) {
	if k.request == nil {
		return nil, refuse("it has not begun")
	}
	<-k.received
	if k.err != nil {
		return nil, refuse(k.err.Error())
	}
	for _, s := range k.request.Streams {
		if k.finished {
			break
		}
		if err := k.write(s); err != nil && !has("disk-full") {
			return nil, refuse(err.Error())
		}
	}
	k.finished = true
	state.Store("ended")
	return &pluginpb.FinishResponse{Artifacts: k.told}, nil
}

func (k *sink) write(s *pluginpb.RecordedStream) error {
	one := k.kept[uint16(s.Stream)]
	tags := one.tags
	switch {
	case has("no-tags") && len(k.kept[20].tags) == 0:
		return errors.New("there is nothing to write")
	case has("recording:short") && len(tags) > 0:
		tags = tags[1:]
	case has("late-times"):
		for i, t := range tags {
			tags[i] = uint64(float64(t))
		}
	}
	path := filepath.Join(k.request.Dir, s.Name+".bin")
	text := tag.AsBytes(tags)
	if err := os.WriteFile(path+".part", text, 0o644); err != nil {
		return err
	}
	if err := os.Rename(path+".part", path); err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	if has("recording:hash") {
		sum[0] ^= 1
	}
	a := &pluginpb.Artifact{Path: s.Name + ".bin", Size: int64(len(text)), Sha256: sum[:], Stream: s.Stream, Tags: uint64(len(tags)), Lost: one.lost,
		Kind: pluginpb.ArtifactKind_ARTIFACT_KIND_TAGS}
	if has("recording:lost") {
		a.Lost |= 1 << 63
	}
	if len(tags) > 0 {
		a.FirstPs, a.LastPs = tags[0], tags[len(tags)-1]
	}
	if has("recording:stray") {
		return os.WriteFile(path+".log", nil, 0o644)
	}
	k.tell(a)
	return nil
}

func (k *sink) Close(context.Context, *pluginpb.CloseRequest) (*pluginpb.CloseResponse, error) {
	if at := state.Load().(string); has("close-" + at) {
		return nil, refuse("not now: " + at)
	}
	if k.conn != nil {
		k.conn.Close()
		<-k.received
		if has("killed") && !k.finished && k.told == 0 { // it was closed before it had read enough
			k.tellSoon(k.request.Streams[0].Stream)
		}
	}
	return closed(k.closed)
}
