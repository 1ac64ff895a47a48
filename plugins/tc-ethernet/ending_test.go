package main

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"tsrun/internal/replier"
	"tsrun/sdk"
	"tsrun/sdk/instrument"
)

// TestMissingTagsAreLost: what the service counts and did not hand over is a loss.
func TestMissingTagsAreLost(t *testing.T) {
	service := replier.New(t, func(_ int, request string) [][]byte {
		if request != "stop --id id" {
			t.Errorf("asked %q", request)
		}
		return replier.Text(`{"status":{"acquisitions_count":2,"timestamps_count":9,"inactivity":0.1,"errors":[{"description":"ring overrun"}]}}`)
	})
	out := newSink(sdk.Channel{})
	l := &watched{lane: feed(t, out, frame(1, 2, 3), frame(1, 5), end)}
	d := &driver{log: slog.New(slog.DiscardHandler), dlt: dlt{&instrument.Client{Name: "service", Addr: service.Addr, Timeout: time.Second}}}
	defer d.dlt.Close()
	w := &watch{driver: d, armed: &armed{}, out: out, lanes: []*watched{l}}
	w.closeChannel(t.Context(), l)

	got := out.lanes[0]
	if got.tags != 5 || got.lost != 5 || len(got.reasons) != 2 {
		t.Fatalf("%d tags and %d lost (%q), want 5 and 4 missing and 1 error", got.tags, got.lost, got.reasons)
	}
	if !strings.Contains(got.reasons[0], "ring overrun") || !strings.Contains(got.reasons[1], "4 tags more") {
		t.Errorf("reasons %q", got.reasons)
	}
}

func TestCombine(t *testing.T) {
	plain, lost := errors.New("writev"), &sdk.Failure{Code: "service-lost", Message: "gone", Hint: "restart it"}
	if err := combine([]error{plain}); !errors.Is(err, plain) {
		t.Errorf("error %v", err)
	}
	err := combine([]error{plain, lost, &sdk.Failure{Code: "other", Message: "also gone", Hint: "never mind"}})
	wantFailure(t, err, "service-lost", "writev; gone; also gone; restart it")
}
