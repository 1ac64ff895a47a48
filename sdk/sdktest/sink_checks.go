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
	all := []check{
		{"recording", (*Suite).recording},
		{"late-times", (*Suite).lateRecording},
		{"no-tags", (*Suite).emptyRecording},
		{"order-of-calls", (*Suite).orderOfSinkCalls},
		{"bad-tags", (*Suite).badTags},
		{"core-goes", (*Suite).coreGoes},
		{"killed", (*Suite).killedSink},
		{"disk-full", (*Suite).diskFull},
		{"no-directory", (*Suite).noDirectory},
	}
	all = append(all, inEachState("close-", []string{opened, running, ended}, (*Suite).closeSinkIn)...)
	all = append(all, inEachState("host-gone-", []string{opened, running, ended}, (*Suite).sinkHostGoneIn)...)
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
func (s *Suite) record(ctx context.Context, segment time.Duration, fill func(*sink) error) (string, error) {
	k, err := s.openSink(ctx)
	if err != nil {
		return "", err
	}
	defer k.end()
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
func (s *Suite) recording(ctx context.Context) (string, error) {
	return s.record(ctx, time.Second, (*sink).fill)
}

// lateRecording: tags behind 2^32, 2^40 and 2^53 ps are kept exactly.
func (s *Suite) lateRecording(ctx context.Context) (string, error) {
	if s.Offer.Keeps == sdk.NoTags {
		return "", openError{"it keeps no tags, and 2.6 hours of bins are not its trial"}
	}
	return s.record(ctx, time.Hour, (*sink).fillLate)
}

// emptyRecording: a recording without a tag is none that failed.
func (s *Suite) emptyRecording(ctx context.Context) (string, error) {
	return s.record(ctx, time.Second, func(*sink) error { return nil })
}

// orderOfSinkCalls: what comes at the wrong time is refused with a reason.
func (s *Suite) orderOfSinkCalls(ctx context.Context) (string, error) {
	k, err := s.openSink(ctx)
	if err != nil {
		return "", err
	}
	defer k.end()
	calling, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	_, err = k.rpc.Finish(calling, &pluginpb.FinishRequest{})
	if err := refused("a Finish before Begin", err); err != nil {
		return "", err
	}
	_, err = k.rpc.Configure(calling, s.configuration(k.process, s.Config))
	if err := refused("a second Configure", err); err != nil {
		return "", err
	}
	if err := k.begin(ctx); err != nil {
		return "", err
	}
	_, err = k.rpc.Begin(calling, k.request())
	if err := refused("a second Begin", err); err != nil {
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
	for late := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		_, failed := k.told()
		if failed != nil {
			if failed.Message == "" {
				return "", errors.New("it failed without a message")
			}
			calling, cancel := context.WithTimeout(ctx, callWithin)
			defer cancel()
			_, err := k.rpc.Finish(calling, &pluginpb.FinishRequest{})
			return failed.Message, refused("Finish after a failure", err)
		}
		if time.Now().After(late) {
			return "", fmt.Errorf("%s, and it has not told of a failure for 5 s", because)
		}
	}
}

// spoil records, lets something go wrong, and checks that the sink says so and
// that what it had told of is whole.
func (s *Suite) spoil(ctx context.Context, what string, wrong func(*sink) error) (string, error) {
	k, err := s.openSink(ctx)
	if err != nil {
		return "", err
	}
	defer k.end()
	if err := k.begin(ctx); err != nil {
		return "", err
	}
	if err := errors.Join(k.fill(), wrong(k)); err != nil {
		return "", err
	}
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
func (s *Suite) badTags(ctx context.Context) (string, error) {
	return s.spoil(ctx, "tags went back in time", func(k *sink) error {
		return k.block(tag.Block{Kind: tag.Data, Stream: busy, Until: 7e12, Tags: []uint64{6e12, 5e12, 7e12}})
	})
}

// coreGoes: a core that dies before the End is told; whole files stay.
func (s *Suite) coreGoes(ctx context.Context) (string, error) {
	return s.spoil(ctx, "the core left before the End", func(k *sink) error { return k.conn.Close() })
}

// killedSink: what was told of before a kill -9 is there, whole.
func (s *Suite) killedSink(ctx context.Context) (string, error) {
	k, err := s.openSink(ctx)
	if err != nil {
		return "", err
	}
	defer k.end()
	if err := k.begin(ctx); err != nil {
		return "", err
	}
	if err := k.fill(); err != nil {
		return "", err
	}
	waitFor(ctx, 3*time.Second, func() bool { files, _ := k.told(); return len(files) >= 4 })
	killGroup(k.pid())
	<-k.exited
	<-k.heard
	seen, err := k.provenFiles()
	return fmt.Sprintf("%d files were told of before", len(seen)), err
}

// diskFull: a disk that takes nothing is told, and no file that is not whole.
func (s *Suite) diskFull(ctx context.Context) (string, error) {
	k, err := s.openSink(ctx)
	if err != nil {
		return "", err
	}
	defer k.end()
	if err := fullDisk(k.pid()); err != nil {
		return "", openError{fmt.Sprintf("the disk cannot be made full: %v", err)}
	}
	calling, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	began := k.begin(ctx)
	if began == nil {
		began = errors.Join(k.fill(), k.sendEnd())
	}
	_, err = k.rpc.Finish(calling, &pluginpb.FinishRequest{})
	if began == nil && err == nil && s.Offer.Keeps == sdk.Elsewhere {
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
func (s *Suite) noDirectory(ctx context.Context) (string, error) {
	k, err := s.openSink(ctx)
	if err != nil {
		return "", err
	}
	defer k.end()
	calling, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	r := k.request()
	r.Dir = k.dir + "/not/there"
	_, err = k.rpc.Begin(calling, r)
	if err == nil { // it may write at the end only
		if k.conn, err = k.listen.Accept(calling); err == nil {
			if err = errors.Join(k.fill(), k.sendEnd()); err == nil {
				_, err = k.rpc.Finish(calling, &pluginpb.FinishRequest{})
			}
		}
	}
	if s.Offer.Keeps == sdk.Elsewhere && err == nil {
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

// closeSinkIn: Close lets go in every state; what is whole stays, and nothing
// half-written looks whole.
func (s *Suite) closeSinkIn(ctx context.Context, state string) (string, error) {
	k, err := s.bringSink(ctx, state)
	if err != nil {
		return "", err
	}
	defer k.end()
	began := time.Now()
	if err := k.close(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("gone in %v", time.Since(began).Round(time.Millisecond)), k.proven()
}

// sinkHostGoneIn: without its host the process goes, and leaves nothing that looks
// whole and is not.
func (s *Suite) sinkHostGoneIn(ctx context.Context, state string) (string, error) {
	k, err := s.bringSink(ctx, state)
	if err != nil {
		return "", err
	}
	defer k.end()
	return s.vanished(k.process, false)
}
