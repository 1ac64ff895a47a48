package host

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"tsrun/pipeline/fact"
	"tsrun/sdk"
	"tsrun/sdk/pluginpb"
)

// Sink is a sink plugin. It keeps one recording: Begin, then blocks come by
// themselves, then Finish. Its methods may be called from several goroutines.
type Sink struct {
	*process
	rpc    pluginpb.SinkClient
	events chan SinkEvent
	watch  watch
	told   atomic.Uint64   // files in events so far
	kept   atomic.Uint64   // and numbers of tags kept
	more   chan struct{}   // has a token when either has grown
	whole  atomic.Bool     // Finish has returned nil: nothing is lost with the process
	paths  map[string]bool // of the files told; owned by follow

	mu      sync.Mutex
	streams []sdk.RecordedStream // since Begin
	dir     string               // as well
}

// SinkEvent is one of [Closed], [Kept] and [Failed].
type SinkEvent interface{ sinkEvent() }

// Closed says that a file is finished. Its name is relative to the sink's
// directory; the sink's is left out.
type Closed struct {
	Stream uint32 // of which it holds the tags: one that the sink was given
	fact.Segment
}

// Kept says how many tags of a stream the sink has kept by now. The last of a
// stream counts.
type Kept struct{ fact.Kept }

// Failed says that the sink takes no more blocks. What is whole stays.
type Failed struct{ Err error }

func (Closed) sinkEvent() {}
func (Kept) sinkEvent()   {}
func (Failed) sinkEvent() {}

// StartSink starts a plugin process and opens its sink, or undoes everything.
func (h *Host) StartSink(ctx context.Context, s Spec) (*Sink, error) {
	p, err := h.start(ctx, s, "sink")
	if err != nil {
		return nil, err
	}
	k := &Sink{process: p, rpc: pluginpb.NewSinkClient(p.conn),
		events: make(chan SinkEvent, eventBuffer), more: make(chan struct{}, 1), paths: map[string]bool{}}
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	request, err := p.configuration(ctx, s, "sink")
	if err == nil {
		p.letGo = k.closeSink
		_, err = k.rpc.Configure(ctx, request)
		err = p.explain("open sink", err)
	}
	if err != nil {
		return nil, p.undo(ctx, err)
	}
	k.watch.start(p, k.relayEvents)
	return k, nil
}

// Events returns what happens, in order; it is closed by Close, or when the
// process dies. Somebody has to receive from it until then.
func (k *Sink) Events() <-chan SinkEvent { return k.events }

// Begin prepares the output and connects the sink to an endpoint of the core; ring is where
// it may get the memory that blocks lie in, "" where there is none.
// What the recording calls back comes by Events.
func (k *Sink) Begin(ctx context.Context, r sdk.Recording, endpoint, ring string) error {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	k.mu.Lock()
	k.streams, k.dir = r.Streams, r.Dir
	k.mu.Unlock()
	k.offered.Store(ring != "")
	_, err := k.rpc.Begin(ctx, beginOut(r, endpoint, ring))
	return k.explain("begin", err)
}

// Finish waits until the sink has had the End of every stream and has made
// everything durable. All that it has told is in Events when it returns nil.
func (k *Sink) Finish(ctx context.Context) error {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	r, err := k.rpc.Finish(ctx, &pluginpb.FinishRequest{})
	if err != nil {
		return k.explain("finish", err)
	}
	for k.told.Load() < r.Artifacts || k.kept.Load() < r.Kept {
		select {
		case <-k.more:
		case <-ctx.Done():
			return fmt.Errorf("%s: finish: %d of %d artifacts have arrived: %w",
				k.instance, k.told.Load()+k.kept.Load(), r.Artifacts+r.Kept, context.Cause(ctx))
		}
	}
	k.whole.Store(true)
	return nil
}

// Close ends the sink and its process, by force when it takes longer than some
// seconds; what Finish has not confirmed may be incomplete. Events is closed
// when Close returns.
func (k *Sink) Close(ctx context.Context) error {
	err := k.close(ctx)
	k.watch.stop()
	return err
}

func (k *Sink) closeSink(ctx context.Context) error {
	_, err := k.rpc.Close(ctx, &pluginpb.CloseRequest{})
	k.watch.await(ctx)
	return k.explain("close sink", err)
}

// relayEvents turns the plugin's events into ours until the sink is closed.
func (k *Sink) relayEvents(ctx context.Context) {
	defer close(k.events)
	tell := func(e SinkEvent) {
		defer k.passOn()()
		select {
		case k.events <- e:
		case <-k.watch.abandoned:
		}
	}
	stream, err := k.rpc.Watch(ctx, &pluginpb.WatchRequest{})
	for err == nil {
		var e *pluginpb.SinkEvent
		if e, err = stream.Recv(); err != nil {
			break
		}
		switch what := e.What.(type) {
		case *pluginpb.SinkEvent_Closed:
			closed := artifactIn(what.Closed)
			if err := k.checkArtifact(closed); err != nil {
				tell(Failed{err})
			} else {
				tell(closed)
			}
			k.count(&k.told)
		case *pluginpb.SinkEvent_Kept:
			if kept, err := k.keptIn(what.Kept); err != nil {
				tell(Failed{err})
			} else {
				tell(kept)
			}
			k.count(&k.kept)
		case *pluginpb.SinkEvent_Failed:
			tell(Failed{k.failure(what.Failed)})
		}
	}
	if k.leaving.Load() {
		return
	}
	if err = k.explainCutOff(err); k.whole.Load() {
		k.log.Warn("sink ended after it had finished", "error", err)
		return
	}
	tell(Failed{err})
}

// count counts one more event, for which Finish may wait.
func (k *Sink) count(of *atomic.Uint64) {
	of.Add(1)
	select {
	case k.more <- struct{}{}:
	default:
	}
}
