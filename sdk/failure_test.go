package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"tsrun/sdk/internal/serve"
	"tsrun/sdk/pluginpb"
)

func TestFailuresCrossWhole(t *testing.T) {
	f := &Failure{Code: "wrong-device", Message: "it is an ID800", Hint: "check the address", Field: "address"}
	tests := []struct {
		name string
		err  error
		want *pluginpb.Failure
	}{
		{"none", nil, nil},
		{"plain", errors.New("no route"), &pluginpb.Failure{Message: "no route"}},
		{"failure", f, &pluginpb.Failure{Code: "wrong-device", Message: "it is an ID800", Hint: "check the address", Field: "address"}},
		{"wrapped", fmt.Errorf("open: %w", f),
			&pluginpb.Failure{Code: "wrong-device", Message: "open: it is an ID800", Hint: "check the address", Field: "address"}},
		{"bytes of a device", errors.New("read \xff\xfe"), &pluginpb.Failure{Message: "read ?"}},
	}
	for _, test := range tests {
		if got := failureOf(test.err); !proto.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		s, _ := status.FromError(statusOf(test.err))
		if test.err != nil && (len(s.Details()) != 1 || !proto.Equal(s.Details()[0].(*pluginpb.Failure), test.want)) {
			t.Errorf("%s: details %v", test.name, s.Details())
		}
	}
	if long := failureOf(errors.New(strings.Repeat("é", 1<<20))); len(long.Message) > 5000 {
		t.Errorf("a message of %d bytes crosses", len(long.Message))
	}
}

func TestGuardedTurnsPanicsIntoErrors(t *testing.T) {
	var log strings.Builder
	err := guarded(slog.New(slog.NewTextHandler(&log, nil)), "Arm", func() error { panic("boom") })
	var f *Failure
	if !errors.As(err, &f) || f.Code != "plugin-panic" || !strings.Contains(err.Error(), "Arm panicked: boom") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(log.String(), "failure_test.go") {
		t.Errorf("the log has no stack: %s", &log)
	}
	if err := guarded(slog.New(slog.DiscardHandler), "Arm", func() error { return nil }); err != nil {
		t.Error(err)
	}
}

func TestFeedKeepsOrderAndFoldsLosses(t *testing.T) {
	f := serve.NewFeed(mergeLoss)
	f.Put(startedOut(Shot{Asked: time.Unix(1, 0)}))
	for i := range 100_000 {
		f.Put(lossOut(Loss{Stream: uint16(i % 3), Tags: 1, At: uint64(i), Why: fmt.Sprint("reason ", i%1000)}))
	}
	f.Put(&pluginpb.DriverEvent{What: &pluginpb.DriverEvent_Ended{Ended: &pluginpb.Ended{}}})
	f.Close()
	f.Put(startedOut(Shot{})) // too late
	var events []*pluginpb.DriverEvent
	var lost uint64
	for {
		e, ok := f.Next(t.Context())
		if !ok {
			break
		}
		events = append(events, e)
		lost += e.GetLost().GetTags()
	}
	if events[0].GetStarted() == nil || events[len(events)-1].GetEnded() == nil || lost != 100_000 {
		t.Errorf("%d events, %d lost; the first is %v, the last %v", len(events), lost, events[0], events[len(events)-1])
	}
	if len(events) > 100 {
		t.Errorf("%d events wait: a flood of losses is not folded", len(events))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok := serve.NewFeed[int](nil).Next(ctx); ok {
		t.Error("an empty feed gave something")
	}
}
