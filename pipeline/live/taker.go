package live

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/host"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/sdk"
)

// takenWithin is how long the program of a plugin may still be at work when the run has
// said its end: what it has heard by then waits for somebody else.
const takenWithin = 10 * time.Second

const restIsThere = "the run has all tags in its files"

// Plugins are where plugins are found, and what they must be.
type Plugins struct {
	Dirs []string
	Lock host.Lock
	Warn func(message, hint string) // may be called until the stream is closed
}

// taker is a plugin that subscribes to a stream: a process for the length of a run, for
// which nobody waits.
type taker struct {
	sink    recipe.Live
	private *host.Runtime // of the socket
	record  run.TakenRecord
	answer  sdk.MergedAnswer
	err     error
	stop    context.CancelCauseFunc
	ended   chan struct{} // closed when record, answer and err are told
	over    atomic.Bool   // the run says its end
}

// ListenFor opens the socket of a live sink. Where the sink is a plugin, its program is
// started, which subscribes there; that it cannot be is told at the end.
func ListenFor(sink recipe.Live, id string, p Plugins) (*Stream, error) {
	if sink.Sink == "" {
		return Listen(sink)
	}
	private, err := host.NewRuntime()
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(private.Path(), "merged")
	sink.Config.Address = "ipc://" + socket
	s, err := Listen(sink)
	if err != nil {
		private.Remove()
		return nil, err
	}
	ctx, stop := context.WithCancelCause(context.Background()) // ended by close
	s.taker = &taker{sink: sink, private: private, stop: stop, ended: make(chan struct{}), record: run.TakenRecord{Plugin: sink.Sink}}
	go s.taker.take(ctx, id, socket, p)
	return s, nil
}

// take has the program take the tags. That it ends before the run is said at once.
func (t *taker) take(ctx context.Context, id, socket string, p Plugins) {
	defer close(t.ended)
	t.execute(ctx, id, socket, p)
	if why, hint := t.failed(); why != "" && !t.over.Load() {
		p.Warn(fmt.Sprintf("sink %s takes no merged tags any more: %s", t.sink.Name, why), cmp.Or(hint, restIsThere))
	}
}

// failed says why the program has not taken all.
func (t *taker) failed() (why, hint string) {
	if t.err == nil {
		return t.answer.Failed, t.answer.Hint
	}
	if known, ok := errors.AsType[*sdk.Failure](t.err); ok {
		return known.Message, known.Hint
	}
	return strings.ReplaceAll(t.err.Error(), "\n", "; "), ""
}

func (t *taker) execute(ctx context.Context, id, socket string, p Plugins) {
	program, err := host.Find(p.Dirs, t.sink.Sink)
	if err != nil {
		t.err = err
		return
	}
	t.record.Version, t.record.SHA256 = program.Version, hex.EncodeToString(program.SHA256[:])
	if refusal := p.Lock.Check(t.sink.Sink, t.record.SHA256, program.Path); refusal != nil {
		t.err = refusal
		return
	}
	var offer *sdk.Offer
	if program.Description != nil {
		offer = program.Description.Sink(t.sink.Sink)
	}
	if offer == nil || offer.Merged == nil {
		t.err = &sdk.Failure{Code: "no-merged", Message: "plugin " + t.sink.Sink + " does not say that it takes merged tags",
			Hint: "build it again (make build), or name another plugin"}
		return
	}
	var confined fact.Confinement
	t.answer, confined, t.err = program.TakeMerged(ctx, t.private.Path(), sdk.MergedRequest{Sink: offer.Name, Config: t.sink.Plugin, Run: id, Socket: socket})
	t.record.Confinement = confined
}

// close waits for the end of the program, though not for ever, and says what is missing
// of so many messages.
func (t *taker) close(sent uint64) (record run.TakenRecord, hint string) {
	select {
	case <-t.ended:
	case <-time.After(takenWithin):
		t.stop(fmt.Errorf("it has not ended within %v after the run", takenWithin))
		<-t.ended
	}
	t.stop(nil)
	t.private.Remove()
	r, a := t.record, t.answer
	r.Where, r.Messages, r.Tags = a.Where, a.Messages, a.Tags
	r.Missing = sent - min(sent, a.Messages)
	r.Failed, hint = t.failed()
	return r, hint
}
