package host

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tsrun/internal/need"
	"tsrun/sdk"
)

// nosyConfig names places by bytes in hexadecimal digits, which are no path.
type nosyConfig struct {
	Write []string `json:"write"`
	Read  []string `json:"read"`
	Dial  string   `json:"dial"`
	Own   string   `json:"own"` // as a path
}

// nosy tries what a plugin may not, and answers with what it was let do.
func nosy(env sdk.Env, c nosyConfig) string {
	var done []string
	note := func(what string, err error) {
		if errors.Is(err, fs.ErrPermission) {
			what = "not " + what
		} else if err != nil {
			what = fmt.Sprintf("%s: %v", what, err)
		}
		done = append(done, what)
	}
	for _, name := range c.Write {
		path, _ := hex.DecodeString(name)
		note("write", os.WriteFile(string(path), []byte("nosy"), 0o600))
	}
	for _, name := range c.Read {
		path, _ := hex.DecodeString(name)
		_, err := os.ReadFile(string(path))
		note("read", err)
	}
	if c.Dial != "" {
		conn, err := net.Dial("tcp", c.Dial)
		if err == nil {
			conn.Close()
		}
		note("dial", err)
	}
	if c.Own != "" {
		_, err := os.ReadFile(c.Own)
		note("own", err)
	}
	note("scratch", os.WriteFile(filepath.Join(env.Dir, "x"), nil, 0o600))
	note("temporary", os.WriteFile(filepath.Join(os.TempDir(), "nosy.x"), nil, 0o600))
	return strings.Join(done, ", ")
}

// nosyPlugin is a driver that tells by its device's identity, and a sink that tells
// by its refusal.
func nosyPlugin(name string, needs sdk.Needs) sdk.Plugin {
	return sdk.Plugin{Name: name, Needs: needs,
		Drivers: []sdk.DriverType{sdk.NewDriver(name, nosyConfig{}, func(_ context.Context, env sdk.Env, c nosyConfig) (sdk.Driver, error) {
			return told(nosy(env, c)), nil
		})},
		Sinks: []sdk.SinkType{sdk.NewSink(name, nosyConfig{}, func(_ context.Context, env sdk.Env, c nosyConfig) (sdk.Sink, error) {
			return nil, &sdk.Failure{Code: "told", Message: nosy(env, c)}
		})}}
}

func init() {
	roles["nosy"] = func() { sdk.Serve(nosyPlugin("nosy", sdk.Needs{})) }
	roles["nosy-free"] = func() { sdk.Serve(nosyPlugin("nosy-free", sdk.Needs{Unconfined: "it drives a loader"})) }
}

// confining is a host that confines its plugins.
func confining(t *testing.T, plugins ...string) (*Host, *logged) {
	h, log := newHost(t, plugins...)
	h.confine = true
	for _, name := range plugins { // as make build does
		c, err := locate(h.dirs, name)
		if err != nil {
			t.Fatal(err)
		}
		needs := sdk.Needs{}
		if name == "nosy-free" {
			needs.Unconfined = "it drives a loader"
		}
		d, err := nosyPlugin(name, needs).Describe()
		if err != nil {
			t.Fatal(err)
		}
		text, _ := json.Marshal(d)
		if err := os.WriteFile(c.Path+".json", text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return h, log
}

func TestPluginsAreConfined(t *testing.T) {
	h, log := confining(t, "nosy", "nosy-free")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("key"), 0o600); err != nil {
		t.Fatal(err)
	}
	output := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	inHex := func(paths ...string) (digits []string) {
		for _, p := range paths {
			digits = append(digits, hex.EncodeToString([]byte(p)))
		}
		return digits
	}
	config, _ := json.Marshal(nosyConfig{Write: inHex(secret, filepath.Join(h.runtime, "x"), filepath.Join(output, "x")), Read: inHex(secret, "/etc/passwd"),
		Dial: l.Addr().String(), Own: filepath.Join(output, "own")})
	if err := os.WriteFile(filepath.Join(output, "own"), nil, 0o600); err != nil {
		t.Fatal(err)
	}

	d, err := h.StartDriver(context.Background(), Spec{Plugin: "nosy", Instance: "bob.tc", Config: config})
	if err != nil {
		t.Fatal(err)
	}
	if plugin := d.Plugin(); !plugin.Confined {
		if strings.Contains(plugin.Unconfined, "no Landlock") {
			need.Kernel(t, plugin.Unconfined)
		}
		t.Errorf("not confined: %s", plugin.Unconfined)
	}
	want := "not write, not write, not write, not read, read, dial, own, scratch, temporary"
	if got := d.Device().Identity; got != want {
		t.Errorf("a driver was let\n%s, want\n%s", got, want)
	}
	_, err = h.StartSink(context.Background(), Spec{Plugin: "nosy", Instance: "bob.raw", Config: config, Writes: []string{output}})
	want = "not write, not write, write, not read, read, not dial, own, scratch, temporary"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a sink was let %v, want %s", err, want)
	}
	if text, err := os.ReadFile(secret); err != nil || string(text) != "key" {
		t.Errorf("a file outside was changed: %q, %v", text, err)
	}
	contains(t, log.String(), "plugin confined: a trial to write outside was refused")

	free, err := h.StartDriver(context.Background(), Spec{Plugin: "nosy-free", Instance: "bob.free", Config: config})
	if err != nil {
		t.Fatal(err)
	}
	if plugin := free.Plugin(); plugin.Confined || plugin.Unconfined != "it drives a loader" {
		t.Errorf("a plugin whose description says that it cannot be confined: %+v", plugin)
	}
	if got := free.Device().Identity; strings.Contains(got, "not") {
		t.Errorf("it was let %s", got)
	}
	_ = os.Remove(filepath.Join(os.TempDir(), "nosy.x"))
	_ = os.Remove(filepath.Join(h.runtime, "x"))
}

func contains(t *testing.T, text string, want string) {
	t.Helper()
	if !strings.Contains(text, want) {
		t.Errorf("it does not say %q:\n%s", want, text)
	}
}

func TestPathsIn(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("beside.csv", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("sim", 0o700); err != nil {
		t.Fatal(err)
	}
	here, _ := os.Getwd()
	got := pathsIn(json.RawMessage(`{"address": "sim", "a": ["/data/../data/x", {"b": "beside.csv"}], "n": 7, "root": "/", "nothing": "", "long": "/` +
		strings.Repeat("a", 5000) + `", "zero": "/a\u0000b"}`))
	want := []string{"/data/x", filepath.Join(here, "beside.csv")}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("paths %q, want %q", got, want)
	}
	if got := pathsIn(json.RawMessage(`{`)); got != nil {
		t.Errorf("paths %q in what is no JSON", got)
	}
}

func TestInterpreterOf(t *testing.T) {
	for text, want := range map[string]string{
		"#!/usr/bin/env python3\n": "/usr/bin/env", "#! /opt/venv/bin/python -u\nx": "/opt/venv/bin/python", "#!python\n": "", "#!": "", "": "", "\x7fELF": "",
		"#!/" + strings.Repeat("a", 1000): "",
	} {
		path := filepath.Join(t.TempDir(), "script")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := interpreterOf(path); got != want && !(len(text) > 300 && len(got) <= 256) {
			t.Errorf("%.40q: %.40q, want %q", text, got, want)
		}
	}
}
