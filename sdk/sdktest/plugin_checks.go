package sdktest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"tsrun/sdk"
	"tsrun/sdk/pluginpb"
)

// pluginChecks hold for drivers and sinks alike.
func pluginChecks() []check {
	return []check{
		{"handshake", (*Suite).handshake},
		{"describe", (*Suite).described},
		{"schema", (*Suite).schema},
		{"config-mistakes", (*Suite).configMistakes},
		{"config-check", (*Suite).configCheck},
	}
}

// handshake: one line, the socket where it was asked for, a lease that beats, and
// a process that goes when it is asked to.
func (s *Suite) handshake(ctx context.Context) (string, error) {
	began := time.Now()
	p, err := s.begin(ctx)
	if err != nil {
		return "", err
	}
	defer p.end()
	took := time.Since(began)
	if err := p.connect(); err != nil {
		return "", err
	}
	if err := p.lease(ctx, 3); err != nil {
		return "", err
	}
	if in, err := filepath.Rel(p.dir, p.fields[3]); err != nil || !filepath.IsLocal(in) {
		return "", fmt.Errorf("its socket is %s, not in the directory that $PLUGIN_UNIX_SOCKET_DIR names", p.fields[3])
	}
	if err := p.shutdown(ctx); err != nil {
		return "", fmt.Errorf("asked to shut down: %w", err)
	}
	return fmt.Sprintf("protocol %d after %v", p.protocol, took.Round(time.Millisecond)), nil
}

// described: the program says the same of itself by hand and to its host.
func (s *Suite) described(ctx context.Context) (string, error) {
	p, err := s.open(ctx)
	if err != nil {
		return "", err
	}
	defer p.end()
	told, err := call(ctx, pluginpb.NewPluginClient(p.conn).Describe, &pluginpb.DescribeRequest{})
	if err != nil {
		return "", p.because("describe: %w", err)
	}
	d := s.about
	switch {
	case d.Name != filepath.Base(s.Path):
		return "", fmt.Errorf("it calls itself %q, its program is %q: a recipe could not name it", d.Name, filepath.Base(s.Path))
	case d.Version == "" || d.Summary == "":
		return "", errors.New("version or summary is empty")
	case told.Name != d.Name || told.Version != d.Version || len(told.Drivers) != len(d.Drivers) || len(told.Sinks) != len(d.Sinks):
		return "", fmt.Errorf("it tells its host of %s %s with %d drivers and %d sinks, and --describe of %s %s with %d and %d",
			told.Name, told.Version, len(told.Drivers), len(told.Sinks), d.Name, d.Version, len(d.Drivers), len(d.Sinks))
	}
	offers := told.Drivers
	if s.Sink {
		offers = told.Sinks
	}
	for _, o := range offers {
		if o.Name == s.Offer.Name && same(o.Schema, s.Offer.Schema) && same(o.Defaults, s.Offer.Defaults) {
			return fmt.Sprintf("version %s, %s", d.Version, d.Summary), nil
		}
	}
	return "", fmt.Errorf("its host is told another schema or other defaults of %s than --describe prints", s.Offer.Name)
}

func same(a, b json.RawMessage) bool {
	var one, other any
	if json.Unmarshal(a, &one) != nil || json.Unmarshal(b, &other) != nil {
		return false
	}
	x, errX := json.Marshal(one)
	y, errY := json.Marshal(other)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// compiled is the schema of the configuration.
func (s *Suite) compiled() (*jsonschema.Schema, error) {
	text, err := jsonschema.UnmarshalJSON(bytes.NewReader(s.Offer.Schema))
	if err != nil {
		return nil, fmt.Errorf("the schema is no JSON: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("config.json", text); err != nil {
		return nil, err
	}
	schema, err := c.Compile("config.json")
	if err != nil {
		return nil, fmt.Errorf("the schema is no JSON Schema 2020-12: %w", err)
	}
	return schema, nil
}

func valid(schema *jsonschema.Schema, config json.RawMessage) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(config))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// schema: it takes the configuration that is used here, and no unknown key; every
// key is described.
func (s *Suite) schema(context.Context) (string, error) {
	schema, err := s.compiled()
	if err != nil {
		return "", err
	}
	if err := valid(schema, s.Config); err != nil {
		return "", fmt.Errorf("it refuses the configuration %s, with which the checks are done: %v", s.Config, err)
	}
	if valid(schema, unknownKey(s.Config)) == nil {
		return "", errors.New("it takes a key that there is not: say additionalProperties: false")
	}
	var parts struct {
		Properties map[string]struct {
			Description string `json:"description"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(s.Offer.Schema, &parts); err != nil {
		return "", err
	}
	for key, p := range parts.Properties {
		if strings.TrimSpace(p.Description) == "" {
			return "", fmt.Errorf("key %q has no description", key)
		}
	}
	return fmt.Sprintf("%d keys", len(parts.Properties)), nil
}

const noSuchKey = "no-such-key"

// unknownKey is the configuration with a key that no schema has.
func unknownKey(config json.RawMessage) json.RawMessage {
	return changed(config, noSuchKey, 1)
}

func changed(config json.RawMessage, key string, value any) json.RawMessage {
	keys := map[string]any{}
	_ = json.Unmarshal(config, &keys) // one that is no object has no key
	keys[key] = value
	text, _ := json.Marshal(keys) // it was JSON
	return text
}

// configMistakes: the process refuses what the schema refuses, says why, and lives.
func (s *Suite) configMistakes(ctx context.Context) (string, error) {
	schema, err := s.compiled()
	if err != nil {
		return "", err
	}
	mistakes := map[string]json.RawMessage{"an unknown key": unknownKey(s.Config), "a list": json.RawMessage(`[]`), "half a text": json.RawMessage(`{"`)}
	var parts struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	_ = json.Unmarshal(s.Offer.Schema, &parts) // schema judges it
	for key := range parts.Properties {
		for _, value := range []any{[]any{[]any{}}, true, map[string]any{"": nil}} {
			if wrong := changed(s.Config, key, value); len(mistakes) < 12 && valid(schema, wrong) != nil {
				mistakes[key+" of a wrong type"] = wrong
				break
			}
		}
	}
	for what, config := range mistakes {
		if err := s.isRefused(ctx, config); err != nil {
			return "", fmt.Errorf("a configuration with %s, %s: %w", what, config, err)
		}
	}
	return fmt.Sprintf("%d mistakes refused", len(mistakes)), nil
}

// isRefused opens a fresh process with a configuration that is wrong.
func (s *Suite) isRefused(ctx context.Context, config json.RawMessage) error {
	p, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer p.end()
	configure := pluginpb.NewDriverClient(p.conn).Configure
	if s.Sink {
		configure = pluginpb.NewSinkClient(p.conn).Configure
	}
	if err := refuses(ctx, "it", configure, s.configuration(p, config)); err != nil {
		return err
	}
	return p.shutdown(ctx)
}

// configuration is what Configure is asked with.
func (s *Suite) configuration(p *process, config json.RawMessage) *pluginpb.ConfigureRequest {
	r := &pluginpb.ConfigureRequest{Kind: s.Offer.Name, Instance: "kit.device", Config: config, Dir: filepath.Join(p.dir, "scratch")}
	if s.Offer.Simulated(config) {
		r.Simulation, _ = json.Marshal(sdk.Simulation{Light: sdk.DefaultLight(), Controller: s.Simulation}) // Simulation is JSON
	}
	return r
}

// configCheck: PLUGIN --check finds nothing in a good configuration, and gives no
// answer to what is no request.
func (s *Suite) configCheck(ctx context.Context) (string, error) {
	if !s.Offer.Checks {
		return "", openError{"the plugin offers no --check"}
	}
	r := sdk.CheckRequest{Config: s.Config, Channels: []sdk.CheckChannel{{Name: "signal", Input: 1, ThresholdUv: 120_000}},
		DurationNs: int64(time.Second), SegmentNs: int64(time.Second)}
	if s.Sink {
		r.Sink = s.Offer.Name
	} else {
		r.Driver = s.Offer.Name
	}
	text, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	var answer sdk.CheckAnswer
	if err := s.ask(ctx, text, &answer); err != nil {
		return "", err
	}
	if len(answer.Mistakes) > 0 {
		return "", fmt.Errorf("it finds in the configuration of these checks: %s: %s", answer.Mistakes[0].Field, answer.Mistakes[0].Message)
	}
	if err := s.ask(ctx, []byte(`{"driver":`), &answer); err == nil {
		return "", errors.New("it answers half a request as if it were whole")
	}
	return "answers", nil
}

func (s *Suite) ask(ctx context.Context, request []byte, answer *sdk.CheckAnswer) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	cmd := command(ctx, s.Path, "--check")
	cmd.Stdin, cmd.WaitDelay = bytes.NewReader(request), time.Second
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s --check: %w", s.about.Name, err)
	}
	return json.Unmarshal(out, answer)
}
