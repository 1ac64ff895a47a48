package main

import (
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"tsrun/sdk"
	"tsrun/sdk/sdktest"
	"tsrun/sdk/tagfile"
)

func TestConformance(t *testing.T) {
	_, url := testHub(t, "2m")
	program := sdktest.Build(t, ".")
	sdktest.Documented(t, program, "../../docs/plugins/sink-nats.md")
	sdktest.Run(t, program, sdktest.Options{Config: []byte(`{"url": "` + url + `"}`)})
}

// TestExactlyOnce: what is recorded is in the stream once, in order, and comes out of
// it as the same files, in each format.
func TestExactlyOnce(t *testing.T) {
	_, url := testHub(t, "always")
	for i, format := range tagfile.Streamed() {
		t.Run(format, func(t *testing.T) {
			c := testConfig(url)
			c.Format, c.Window = format, 3
			r := newRecorder(t, c, t.TempDir(), byte(i+1))
			r.begin()
			for _, n := range []int{perSegment, 0, 1, 5} {
				r.segment(n)
			}
			if err := r.finish(); err != nil {
				t.Fatal(err)
			}
			r.close()
			says := report(t, r.dir)
			if n := stored(t, url, r.run.String()); n != 2+3+4+2 || says.Messages != uint64(n) || says.Tags != perSegment+6 || says.Left {
				t.Errorf("%d messages in the stream; %+v", n, says)
			}
			if !says.Server.Durable || says.Server.KnownBy != "hub" || says.Server.Storage != "File" {
				t.Errorf("of a hub that syncs always: %+v", says.Server)
			}
			sameFiles(t, url, r.run.String(), r.files)
		})
	}
}

// TestSaysWhatIsNotPromised: acknowledged is not durable where it is not known.
func TestSaysWhatIsNotPromised(t *testing.T) {
	for _, tt := range []struct {
		promise promise
		durable bool
		says    string
	}{
		{promise{Storage: "File", Replicas: 1, Sync: "unknown", KnownBy: "nothing"}, false, "not durable"},
		{promise{Storage: "File", Replicas: 1, Sync: "2m", KnownBy: "hub"}, false, "every 2m"},
		{promise{Storage: "File", Replicas: 3, Sync: "unknown", KnownBy: "nothing"}, false, "in memory only"},
		{promise{Storage: "File", Replicas: 1, Sync: "always", KnownBy: "recipe"}, true, "does not say so"},
		{promise{Storage: "File", Replicas: 1, Sync: "always", KnownBy: "hub"}, true, "synced"},
		{promise{Storage: "Memory", Replicas: 3, Sync: "always", KnownBy: "hub"}, false, "gone when"},
	} {
		if durable, text := tt.promise.say(); durable != tt.durable || !strings.Contains(text, tt.says) {
			t.Errorf("%+v: %v, %s", tt.promise, durable, text)
		}
	}
	_, url := testHub(t, "2m")
	c := testConfig(url)
	c.Sync = "always" // which the hub knows better
	r := newRecorder(t, c, t.TempDir(), 1)
	r.begin()
	r.segment(10)
	if err := r.finish(); err != nil {
		t.Fatal(err)
	}
	r.close()
	if says := report(t, r.dir); says.Server.Durable || says.Server.Sync != "2m" || r.kept[3] != 0 {
		t.Errorf("%+v, %d tags kept", says.Server, r.kept[3])
	}
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // it accepts, and says nothing
	for _, url := range []string{"nats://127.0.0.1:1", "nats://" + l.Addr().String()} {
		r := newRecorder(t, testConfig(url), t.TempDir(), 1)
		err := r.sink.Begin(t.Context(), r.recording())
		if f := (*sdk.Failure)(nil); !errors.As(err, &f) || f.Code != "nats-unreachable" || f.Hint == "" || !strings.Contains(f.Message, url) {
			t.Errorf("%s: %v", url, err)
		}
		r.close()
		if left, _ := filepath.Glob(filepath.Join(r.dir, "*")); len(left) > 0 {
			t.Errorf("it has left %v", left)
		}
	}
}

func TestRefusesConfigs(t *testing.T) {
	for name, change := range map[string]func(*config){
		"url":      func(c *config) { c.URL = "http://x:1" },
		"no url":   func(c *config) { c.URL = "" },
		"password": func(c *config) { c.URL = "nats://a:b@x:4222" },
		"prefix":   func(c *config) { c.Prefix = "a.*" },
		"window":   func(c *config) { c.Window = mostWindow + 1 },
		"none":     func(c *config) { c.Window = 0 },
		"patience": func(c *config) { c.Patience = 0 },
		"replicas": func(c *config) { c.Replicas = 6 },
		"sync":     func(c *config) { c.Sync = strings.Repeat("x", 1<<20) },
		"cert":     func(c *config) { c.Cert = "a" },
		"format":   func(c *config) { c.Format = "ptu" },
	} {
		c := testConfig("nats://127.0.0.1:4222")
		if _, err := open(t.Context(), sdk.Env{Instance: "alice.live"}, c); err != nil {
			t.Fatal(err)
		}
		change(&c)
		if _, err := open(t.Context(), sdk.Env{Instance: "alice.live"}, c); err == nil || len(err.Error()) > 500 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := open(t.Context(), sdk.Env{Instance: "al ice.live"}, testConfig("nats://127.0.0.1:4222")); err == nil {
		t.Error("a node with a blank in its name is a word of a subject")
	}
	c := testConfig("nats://127.0.0.1:4222")
	if found := c.Check(sdk.Recording{Streams: []sdk.RecordedStream{{Name: "a.b"}}}); len(found) != 1 {
		t.Errorf("%v", found)
	}
}
