package slave

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"tsrun/pipeline/host"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// mostResumed is how often a sink may die in one recording and be started anew.
const mostResumed = 3

// resumable says whether another process can go on with the recording of a sink.
func (k *sink) resumable() bool {
	c := k.plugin().Component()
	return c.Resumable && c.Keeps == sdk.AllTags
}

// plugin is the process that has the sink now.
func (k *sink) plugin() *host.Sink { return k.process.Load() }

// acknowledge lets go of the tags in a file that a sink has closed: it need not be
// sent them again.
func (eq *equipment) acknowledge(k *sink, closed host.Closed) {
	stream := uint16(closed.Stream)
	if !closed.HoldsTags() || closed.Index < 0 || closed.Index == math.MaxInt {
		return
	}
	k.told[stream] = max(k.told[stream], closed.Index+1)
	before := uint64(math.MaxUint64)
	if length := eq.s.recipe.Acquire.Segment; length > 0 {
		if carry, ps := bits.Mul64(uint64(length), uint64(k.told[stream])); carry == 0 {
			before = ps
		}
	}
	eq.core.Acknowledge(k.recipe.Name, stream, before)
}

// mayResume says whether a sink's failure is the death of its process, after which
// another can go on.
func (eq *equipment) mayResume(k *sink, err error) bool {
	var f *sdk.Failure
	return errors.As(err, &f) && (f.Code == "plugin-died" || f.Code == "plugin-hung") &&
		!k.failed && k.stands.Load() == nil && k.resumed < mostResumed && k.resumable()
}

// resumeSink starts another process of a sink that died, which is sent again what
// was not acknowledged. The error says why nobody goes on.
func (eq *equipment) resumeSink(k *sink, died error) error {
	k.resumed++
	eq.log.Warn("a sink has died and is started anew", "sink", k.recipe.Name, "error", died)
	endpoint, err := eq.core.Resume(k.recipe.Name)
	if err != nil {
		return err
	}
	if err := k.plugin().Close(eq.life); err != nil {
		eq.log.Warn("sink did not close cleanly", "sink", k.recipe.Name, "error", err)
	}
	ctx, cancel := context.WithTimeout(eq.life, resumeTimeout)
	defer cancel()
	if err := eq.openSink(ctx, k); err != nil {
		return err
	}
	if err := k.plugin().Begin(ctx, eq.recording(k, true), endpoint, k.ring); err != nil {
		return err
	}
	eq.s.reporter.queueNews(wire.News{Warning: &wire.Warning{
		Message: fmt.Sprintf("sink %s died and was started anew; what it had not yet kept was sent to it again: %v", k.recipe.Name, died),
		Hint:    "nothing is lost; log.jsonl of the run has what it wrote before",
	}})
	return nil
}
