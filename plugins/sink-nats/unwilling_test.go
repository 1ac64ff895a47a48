package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"tsrun/internal/need"
	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

// TestServersThatWillNot: what a server will never take is told at once of tags and of merged
// tags, with what to do, and nobody waits for it.
func TestServersThatWillNot(t *testing.T) {
	plain := strictServer(t, server.Options{})
	locked := strictServer(t, server.Options{Users: []*server.User{{Username: "lab", Password: "the-password",
		Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{"$JS.API.INFO"}}}}}})
	user := access{User: "lab", Password: secretFile(t, "p", "the-password")}
	for name, c := range map[string]struct {
		url          string
		as           access
		tags, merged string
	}{
		"messages of 1 KiB":      {strictServer(t, server.Options{MaxPayload: 1024, MaxControlLine: 1024}), access{}, "it takes messages of 1024 bytes, a block", "it takes messages of 1024 bytes, one of merged"},
		"without JetStream":      {startServer(t, server.Options{}), access{}, "no responders available", "jetstream not enabled"},
		"where one may not make": {locked, user, "Permissions Violation", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := c.as
			a.URL = c.url
			config := testConfig(c.url)
			config.access = a
			r := newRecorder(t, config, t.TempDir(), 1)
			if err := r.sink.Begin(t.Context(), r.recording()); err == nil || !strings.Contains(err.Error(), c.tags) {
				t.Errorf("tags: %v, want %q", err, c.tags)
			}
			r.close()
			if c.merged == "" {
				return
			}
			m := mergedAt(c.url)
			m.access = a
			got, err := takeMerged(t.Context(), sdk.Merged{Run: relayedRun, Socket: liveRun(t, mergedMessage("tags", 0, 3), mergedMessage("end", 1, 0))}, m)
			if err == nil || !strings.Contains(err.Error(), c.merged) || got.Messages != 0 {
				t.Errorf("merged: %+v, %v, want %q", got, err, c.merged)
			}
		})
	}
	streams := testConfig(plain)
	streams.Replicas = 3 // of one server
	r := newRecorder(t, streams, t.TempDir(), 2)
	if err := r.sink.Begin(t.Context(), r.recording()); err == nil || !strings.Contains(err.Error(), "replicas > 1 not supported") {
		t.Errorf("three replicas of one server: %v", err)
	}
	r.close()
}

// TestServerWithAFullDisk: what it cannot keep costs the messages and not the files, and the
// end says so within the patience.
func TestServerWithAFullDisk(t *testing.T) {
	h, err := startHub(hubFlags{Store: filepath.Join(need.Disk(t, "3m"), "hub"), Listen: "127.0.0.1:0", Sync: "2m"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.stop()
	c := testConfig(h.url())
	c.Patience = 2 * quantity.Second
	dir := t.TempDir()
	r := newRecorder(t, c, dir, 1)
	r.begin()
	for range 40 {
		r.segment(perSegment)
	}
	if err := r.finish(); err == nil || !strings.Contains(err.Error(), "has taken nothing for") {
		t.Errorf("%v", err)
	}
	r.close()
	if got := report(t, dir); !got.Left || got.Outages == 0 || got.Why == "" {
		t.Errorf("%+v", got)
	}
	if len(r.files) != 2*40+1 {
		t.Errorf("%d files were closed", len(r.files))
	}
	m, err := takeMerged(t.Context(), sdk.Merged{Run: relayedRun, Socket: liveRun(t, mergedMessage("tags", 0, mergedTags), mergedMessage("tags", 1, mergedTags), mergedMessage("end", 2, 0))}, mergedAt(h.url()))
	if !m.Ended || m.Messages+m.Dropped != 3 || m.Dropped == 0 || err == nil || !strings.Contains(err.Error(), "did not take") {
		t.Errorf("merged: %+v, %v", m, err)
	}
}
