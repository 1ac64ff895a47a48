package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/go-zeromq/zmq4"
	"google.golang.org/grpc"

	"tsrun/sdk/blockio"
	"tsrun/sdk/internal/serve"
	"tsrun/sdk/pluginpb"
	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

// sinkServer serves the one sink of the process. It calls the sink's methods
// one at a time and keeps their order.
type sinkServer struct {
	pluginpb.UnimplementedSinkServer
	types  []SinkType
	log    *slog.Logger
	work   context.Context // ends when the sink has to let go
	endAll context.CancelCauseFunc
	events *serve.Feed[*pluginpb.SinkEvent]

	mu        sync.Mutex // held while a method of the sink runs, but for Write
	sink      Sink
	inPlace   bool          // the sink only reads its tags
	ring      *blockio.Ring // that they lie in; nil: there is none
	closed    bool
	finished  bool
	recording *recording
	artifacts atomic.Uint64 // events of closed files
	kept      atomic.Uint64 // events of tags kept elsewhere
}

// recording is what a sink keeps, from Begin to Finish.
type recording struct {
	conn  *zmtp.Conn
	ended chan struct{} // closed when every stream has had its End, or err is set
	err   error
}

func newSinkServer(life context.Context, log *slog.Logger, types []SinkType) *sinkServer {
	work, end := context.WithCancelCause(life)
	return &sinkServer{types: types, log: log, work: work, endAll: end, events: serve.NewFeed(mergeKept)}
}

func (s *sinkServer) Configure(call context.Context, r *pluginpb.ConfigureRequest) (*pluginpb.ConfigureResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := within(call, s.work)
	defer cancel()
	if s.sink != nil || s.closed {
		return nil, statusOf(errors.New("configure: this process has had its sink; start another"))
	}
	kind := slices.IndexFunc(s.types, func(t SinkType) bool { return t.name == r.Kind })
	if kind < 0 {
		return nil, statusOf(&Failure{Code: "unknown-kind", Message: fmt.Sprintf("configure: no sink is called %q", r.Kind)})
	}
	env := Env{Log: s.log, Instance: r.Instance, Dir: r.Dir, Simulation: r.Simulation}
	err := guarded(s.log, "open", func() error {
		opened, err := s.types[kind].open(ctx, env, r.Config)
		if err == nil {
			s.sink, s.inPlace = opened, s.types[kind].inPlace
		}
		return err
	})
	if err != nil {
		return nil, statusOf(err)
	}
	return &pluginpb.ConfigureResponse{}, nil
}

func (s *sinkServer) Begin(call context.Context, r *pluginpb.BeginRequest) (*pluginpb.BeginResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := within(call, s.work)
	defer cancel()
	switch {
	case s.sink == nil || s.closed:
		return nil, statusOf(errors.New("begin: no sink is open"))
	case s.recording != nil:
		return nil, statusOf(errors.New("begin: this sink has begun before"))
	}
	rec, err := recordingIn(r)
	if err != nil {
		return nil, statusOf(err)
	}
	if info, err := os.Stat(rec.Dir); err != nil || !info.IsDir() { // Publish would make it
		return nil, statusOf(&Failure{Code: "no-directory", Message: fmt.Sprintf("begin: there is no directory %s to write into", rec.Dir),
			Hint: "make it first"})
	}
	rec.Closed = func(a Artifact) {
		s.artifacts.Add(1)
		s.events.Put(artifactOut(a))
	}
	rec.Kept = func(stream uint16, tags uint64) {
		if s.events.Put(keptOut(stream, tags)) {
			s.kept.Add(1)
		}
	}
	if r.Ring != "" && s.inPlace {
		if s.ring, err = blockio.OpenRing(ctx, r.Ring); err != nil {
			s.log.Debug("blocks come over the socket alone", "reason", err)
		} else {
			rec.Hold, rec.LetGo = s.ring.Hold, s.ring.LetGo
		}
	}
	if err := guarded(s.log, "Begin", func() error { return s.sink.Begin(ctx, rec) }); err != nil {
		return nil, statusOf(err)
	}
	conn, err := dialCore(ctx, r.Endpoint, zmq4.Pull)
	if err != nil {
		return nil, statusOf(err)
	}
	s.recording = &recording{conn: conn, ended: make(chan struct{})}
	go s.record(s.recording, rec)
	return &pluginpb.BeginResponse{}, nil
}

// record gives the sink every block until all streams have ended; whoever
// waits for it waits on r.ended.
func (s *sinkServer) record(r *recording, rec Recording) {
	defer close(r.ended)
	defer r.conn.Close()
	unhook := context.AfterFunc(s.work, func() { r.conn.Close() })
	defer unhook()
	r.err = s.writeAll(r.conn, rec)
	if r.err != nil && s.work.Err() == nil {
		s.log.Error("sink failed", "error", r.err)
		s.events.Put(&pluginpb.SinkEvent{What: &pluginpb.SinkEvent_Failed{Failed: failureOf(r.err)}})
	}
}

func (s *sinkServer) writeAll(conn *zmtp.Conn, rec Recording) error {
	streams := make(map[uint16]*tag.Sequence, len(rec.Streams))
	for _, st := range rec.Streams {
		streams[st.Stream] = &tag.Sequence{Run: rec.Run, Stream: st.Stream}
	}
	in := blockio.NewReader(conn)
	in.Ring = s.ring
	for open := len(streams); open > 0; {
		m, err := in.Next()
		switch {
		case err == io.EOF:
			return fmt.Errorf("receive blocks: the core left before %d of %d streams had ended", open, len(streams))
		case err != nil:
			return fmt.Errorf("receive blocks: %w", err)
		}
		seq := streams[m.Head.Stream]
		if seq == nil {
			return fmt.Errorf("receive blocks: stream %d is not part of this recording", m.Head.Stream)
		}
		if err := m.Check(); err != nil {
			return fmt.Errorf("receive blocks: %w", err)
		}
		if err := seq.Accept(m.Head); err != nil {
			return fmt.Errorf("receive blocks: %w", err)
		}
		b := m.Block()
		if err := guarded(s.log, "Write", func() error { return s.sink.Write(s.work, &b) }); err != nil {
			return fmt.Errorf("write block %d of stream %d: %w", b.Seq, b.Stream, err)
		}
		if b.Kind == tag.End {
			open--
		}
	}
	return nil
}

func (s *sinkServer) Finish(call context.Context, _ *pluginpb.FinishRequest) (*pluginpb.FinishResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := within(call, s.work)
	defer cancel()
	if s.recording == nil || s.closed {
		return nil, statusOf(errors.New("finish: nothing was begun"))
	}
	select {
	case <-s.recording.ended:
	case <-ctx.Done():
		return nil, statusOf(&Failure{Code: "finish-timeout",
			Message: fmt.Sprintf("finish: not every stream has ended: %v", context.Cause(ctx))})
	}
	if s.recording.err != nil {
		return nil, statusOf(s.recording.err)
	}
	if !s.finished {
		s.finished = true
		if err := guarded(s.log, "Finish", func() error { return s.sink.Finish(ctx) }); err != nil {
			return nil, statusOf(err)
		}
	}
	return &pluginpb.FinishResponse{Artifacts: s.artifacts.Load(), Kept: s.kept.Load()}, nil
}

func (s *sinkServer) Watch(_ *pluginpb.WatchRequest, out grpc.ServerStreamingServer[pluginpb.SinkEvent]) error {
	return serve.Relay(s.events, out)
}

func (s *sinkServer) Close(context.Context, *pluginpb.CloseRequest) (*pluginpb.CloseResponse, error) {
	if err := s.Release(); err != nil {
		return nil, statusOf(err)
	}
	return &pluginpb.CloseResponse{}, nil
}

// Release closes the sink, once. It returns when the sink has done so, however
// long that takes: the caller sees to the time.
func (s *sinkServer) Release() error {
	s.endAll(errStopped)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recording != nil {
		<-s.recording.ended
	}
	defer s.events.Close()
	defer func() { // when the sink reads no tags any more
		if s.ring != nil {
			s.ring.Close()
			s.ring = nil
		}
	}()
	if s.sink == nil || s.closed {
		s.closed = true
		return nil
	}
	s.closed = true
	return guarded(s.log, "Close", s.sink.Close)
}
