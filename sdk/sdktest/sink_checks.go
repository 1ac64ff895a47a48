package sdktest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/pluginpb"
	"tsrun/sdk/tag"
)

// sinkChecks hold for sinks.
func sinkChecks() []check {
	busySink := func(s *Suite, ctx context.Context) (*sink, error) { return s.bringSink(ctx, running) }
	all := []check{
		{"recording", with((*Suite).openSink, (*sink).recording)},
		{"late-times", with((*Suite).openSink, (*sink).lateRecording)},
		{"no-tags", with((*Suite).openSink, (*sink).emptyRecording)},
		{"in-place", with((*Suite).openSink, (*sink).inPlace)},
		{"order-of-calls", with((*Suite).openSink, (*sink).orderOfCalls)},
		{"bad-tags", with(busySink, (*sink).badTags)},
		{"core-goes", with(busySink, (*sink).coreGoes)},
		{"killed", with(busySink, (*sink).killed)},
		{"disk-full", with((*Suite).openSink, (*sink).diskFull)},
		{"no-directory", with((*Suite).openSink, (*sink).noDirectory)},
	}
	all = append(all, inEachState("close-", []string{opened, running, ended}, (*Suite).bringSink, (*sink).closeIn)...)
	all = append(all, inEachState("host-gone-", []string{opened, running, ended}, (*Suite).bringSink, (*sink).hostGoneIn)...)
	return append(all, killedAtEachStep()...)
}

// fill sends five segments of tags, with a loss, tags at one time, and tags at
// both ends of a segment.
func (k *sink) fill() error {
	const second = uint64(1e12)
	for n := range uint64(5) {
		tags := []uint64{n * second, n * second, n*second + 1}
		for i := range uint64(1000) {
			tags = append(tags, n*second+i*second/1000+uint64(i%7)+2)
		}
		tags = append(tags, (n+1)*second-1)
		if err := errors.Join(k.send(busy, (n+1)*second, n%2*3, tags...), k.send(quiet, (n+1)*second, 0)); err != nil {
			return err
		}
	}
	return nil
}

// fillLate sends tags around the bounds at which narrow or inexact numbers give up.
func (k *sink) fillLate() error {
	for _, bits := range []int{31, 32, 40, 52, 53} {
		at := uint64(1) << bits
		if err := k.send(busy, at+5, 0, at-1, at, at+1, at+3); err != nil {
			return err
		}
	}
	return k.send(quiet, 1<<53, 0)
}

// record records what fill sends, to the end.
func (k *sink) record(ctx context.Context, segment time.Duration, fill func(*sink) error) (string, error) {
	k.length = segment
	if err := k.begin(ctx); err != nil {
		return "", err
	}
	if err := errors.Join(fill(k), k.sendEnd()); err != nil {
		return "", err
	}
	if err := k.finish(ctx); err != nil {
		return "", err
	}
	if _, failed := k.told(); failed != nil {
		return "", fmt.Errorf("it failed: %s", failed.Message)
	}
	if err := k.proven(); err != nil {
		return "", err
	}
	note, err := k.allKept()
	if err != nil {
		return "", err
	}
	if err := k.close(ctx); err != nil {
		return "", err
	}
	return note, k.proven()
}

// recording: files that hold what was sent, with the hashes that were told.
func (k *sink) recording(ctx context.Context) (string, error) {
	return k.record(ctx, time.Second, (*sink).fill)
}

// lateRecording: tags behind 2^32, 2^40 and 2^53 ps are kept exactly.
func (k *sink) lateRecording(ctx context.Context) (string, error) {
	if k.suite.Offer.Keeps == sdk.NoTags {
		return "", openError{"it keeps no tags, and 2.6 hours of bins are not its trial"}
	}
	return k.record(ctx, time.Hour, (*sink).fillLate)
}

// emptyRecording: a recording without a tag is none that failed.
func (k *sink) emptyRecording(ctx context.Context) (string, error) {
	return k.record(ctx, time.Second, func(*sink) error { return nil })
}

// orderOfCalls: what comes at the wrong time is refused with a reason.
func (k *sink) orderOfCalls(ctx context.Context) (string, error) {
	if err := refuses(ctx, "a Finish before Begin", k.rpc.Finish, &pluginpb.FinishRequest{}); err != nil {
		return "", err
	}
	if err := refuses(ctx, "a second Configure", k.rpc.Configure, k.suite.configuration(k.process, k.suite.Config)); err != nil {
		return "", err
	}
	if err := k.begin(ctx); err != nil {
		return "", err
	}
	if err := refuses(ctx, "a second Begin", k.rpc.Begin, k.request()); err != nil {
		return "", err
	}
	if err := errors.Join(k.fill(), k.sendEnd()); err != nil {
		return "", err
	}
	if err := k.finish(ctx); err != nil {
		return "", err
	}
	if err := k.finish(ctx); err != nil {
		return "", fmt.Errorf("finishing twice is no mistake: %w", err)
	}
	return "4 calls out of order", k.close(ctx)
}

// fails waits until the sink has told of its failure, and is not finished then.
func (k *sink) fails(ctx context.Context, because string) (string, error) {
	var failed *pluginpb.Failure
	waitFor(ctx, 5*time.Second, func() bool { _, failed = k.told(); return failed != nil })
	switch {
	case failed == nil:
		return "", fmt.Errorf("%s, and it has not told of a failure for 5 s", because)
	case failed.Message == "":
		return "", errors.New("it failed without a message")
	}
	return failed.Message, refuses(ctx, "Finish after a failure", k.rpc.Finish, &pluginpb.FinishRequest{})
}

// spoiled checks that a sink for which something went wrong says so, and that
// what it had told of is whole.
func (k *sink) spoiled(ctx context.Context, what string) (string, error) {
	message, err := k.fails(ctx, what)
	if err != nil {
		return "", err
	}
	if err := k.close(ctx); err != nil {
		return "", err
	}
	return message, k.proven()
}

// badTags: tags that go back in time are refused.
func (k *sink) badTags(ctx context.Context) (string, error) {
	if err := k.block(tag.Block{Kind: tag.Data, Stream: busy, Until: 7e12, Tags: []uint64{6e12, 5e12, 7e12}}); err != nil {
		return "", err
	}
	return k.spoiled(ctx, "tags went back in time")
}

// coreGoes: a core that dies before the End is told; whole files stay.
func (k *sink) coreGoes(ctx context.Context) (string, error) {
	if err := k.conn.Close(); err != nil {
		return "", err
	}
	return k.spoiled(ctx, "the core left before the End")
}

// killed: what was told of before a kill -9 is there, whole.
func (k *sink) killed(ctx context.Context) (string, error) {
	waitFor(ctx, 3*time.Second, func() bool { files, _ := k.told(); return len(files) >= 4 })
	killGroup(k.pid())
	<-k.exited
	<-k.heard
	seen, err := k.provenFiles()
	return fmt.Sprintf("%d files were told of before", len(seen)), err
}

// diskFull: a disk that takes nothing is told, and no file that is not whole.
func (k *sink) diskFull(ctx context.Context) (string, error) {
	if err := fullDisk(k.pid()); err != nil {
		return "", openError{fmt.Sprintf("the disk cannot be made full: %v", err)}
	}
	began := k.begin(ctx)
	if began == nil {
		began = errors.Join(k.fill(), k.sendEnd())
	}
	_, err := call(ctx, k.rpc.Finish, &pluginpb.FinishRequest{})
	if began == nil && err == nil && k.suite.Offer.Keeps == sdk.Elsewhere {
		return "", openError{"it keeps the tags elsewhere"}
	}
	if err := refused("Finish on a disk that takes nothing", err); err != nil {
		return "", err
	}
	if err := k.close(ctx); err != nil {
		return "", err
	}
	return told(err).Message, k.proven()
}

// noDirectory: a directory that is not there is a failure with a reason.
func (k *sink) noDirectory(ctx context.Context) (string, error) {
	k.dir += "/not/there"
	err := k.begin(ctx)
	if err == nil { // it may write at the end only
		err = errors.Join(k.fill(), k.sendEnd())
	}
	if err == nil {
		_, err = call(ctx, k.rpc.Finish, &pluginpb.FinishRequest{})
	}
	if k.suite.Offer.Keeps == sdk.Elsewhere && err == nil {
		return "", openError{"it keeps the tags elsewhere"}
	}
	if err := refused("a recording into a directory that is not there", err); err != nil {
		return "", err
	}
	return told(err).Message, k.close(ctx)
}

// bringSink opens a sink and brings it into a state.
func (s *Suite) bringSink(ctx context.Context, state string) (*sink, error) {
	k, err := s.openSink(ctx)
	if err != nil || state == opened {
		return k, err
	}
	if err = k.begin(ctx); err == nil {
		err = k.fill()
	}
	if err == nil && state == ended {
		if err = k.sendEnd(); err == nil {
			err = k.finish(ctx)
		}
	}
	if err != nil {
		k.end()
		return nil, err
	}
	return k, nil
}

// closeIn: Close lets go in every state; what is whole stays, and nothing
// half-written looks whole.
func (k *sink) closeIn(ctx context.Context, _ string) (string, error) {
	began := time.Now()
	if err := k.close(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("gone in %v", time.Since(began).Round(time.Millisecond)), k.proven()
}

// hostGoneIn: without its host the process goes, and leaves nothing that looks
// whole and is not.
func (k *sink) hostGoneIn(context.Context, string) (string, error) {
	return k.vanished(false)
}
