package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"tsrun/sdk/quantity"
)

type exampleConfig struct {
	Address string          `json:"address" jsonschema:"required,description=host of the controller"`
	Window  quantity.Time   `json:"window"`
	Mode    string          `json:"mode" jsonschema:"enum=fast,enum=fine"`
	Deep    struct{ N int } `json:"deep"`
}

var exampleDefaults = exampleConfig{Window: 5 * quantity.Nanosecond, Mode: "fast"}

func TestSchemaFollowsFromTheStruct(t *testing.T) {
	o, err := describeConfig("tc-x", exampleDefaults)
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Required             []string
		AdditionalProperties *bool
		Properties           map[string]struct {
			Type, Description string
			Default           any
			Enum              []string
		}
	}
	if err := json.Unmarshal(o.Schema, &schema); err != nil {
		t.Fatal(err)
	}
	if len(schema.Required) != 1 || schema.Required[0] != "address" {
		t.Errorf("required: %v", schema.Required)
	}
	if schema.AdditionalProperties == nil || *schema.AdditionalProperties {
		t.Error("unknown keys are let through")
	}
	p := schema.Properties
	if p["address"].Default != nil || p["address"].Description != "host of the controller" {
		t.Errorf("address: %+v", p["address"])
	}
	if p["window"].Type != "string" || p["window"].Default != "5 ns" {
		t.Errorf("window: %+v", p["window"])
	}
	if p["mode"].Default != "fast" || len(p["mode"].Enum) != 2 {
		t.Errorf("mode: %+v", p["mode"])
	}
}

func TestDecodeConfigOverDefaults(t *testing.T) {
	c, err := decodeConfig([]byte(`{"address":"192.0.2.7","window":"2 us"}`), exampleDefaults)
	if err != nil {
		t.Fatal(err)
	}
	if c.Address != "192.0.2.7" || c.Window != 2*quantity.Microsecond || c.Mode != "fast" {
		t.Errorf("%+v", c)
	}
	if c, err := decodeConfig(nil, exampleDefaults); err != nil || c != exampleDefaults {
		t.Errorf("no configuration: %+v, %v", c, err)
	}
}

func TestDecodeConfigRefuses(t *testing.T) {
	for text, field := range map[string]string{
		`{"adress":"x"}`:       "",
		`{"deep":{"N":"two"}}`: "deep.N",
		`{"window":"5"}`:       "",
		`{} {}`:                "",
		`[]`:                   "",
		`{`:                    "",
	} {
		_, err := decodeConfig([]byte(text), exampleDefaults)
		var f *Failure
		if !errors.As(err, &f) || f.Code != "bad-config" || f.Field != field {
			t.Errorf("%s: got %v, want bad-config of %q", text, err, field)
		}
	}
}

func TestDescribeFlagPrintsJSON(t *testing.T) {
	p := Plugin{Name: "tc-x", Version: "1", Summary: "S.", Drivers: []DriverType{NewDriver[exampleConfig]("tc-x", exampleDefaults, nil)}}
	var out, complaints bytes.Buffer
	if code := run(p, []string{"--describe"}, nil, &out, &complaints); code != 0 {
		t.Fatalf("exit %d: %s", code, &complaints)
	}
	var d Description
	if err := json.Unmarshal(out.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if d.Name != "tc-x" || d.Protocol != ProtocolVersion || len(d.Drivers) != 1 || d.Drivers[0].Name != "tc-x" {
		t.Errorf("%+v", d)
	}
	t.Setenv(CookieKey, "")
	if code := run(p, nil, nil, &out, &complaints); code != 2 || !strings.Contains(complaints.String(), "plugin of tsrun") {
		t.Errorf("run by hand: exit %d: %s", code, &complaints)
	}
	p.Drivers = []DriverType{NewDriver[map[string]chan int]("broken", map[string]chan int{"a": nil}, nil)}
	if code := run(p, []string{"--describe"}, nil, &out, &complaints); code != 1 || !strings.Contains(complaints.String(), "describe driver broken") {
		t.Errorf("a configuration that is no JSON: exit %d: %s", code, &complaints)
	}
}

// TestDocumentedExamplesAreTheTestedOnes keeps docs/plugins.md in step with the
// examples: of a driver, and of a sink.
func TestDocumentedExamplesAreTheTestedOnes(t *testing.T) {
	doc, err := os.ReadFile("../docs/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```go\n(package main\n.*?)^```$").FindAllStringSubmatch(string(doc), -1)
	if len(blocks) != 2 {
		t.Fatalf("docs/plugins.md has %d programs, want 2", len(blocks))
	}
	main := regexp.MustCompile(`(?m)^// This is the whole of a plugin.*\nfunc Example\w*\(\)`)
	for i, file := range []string{"example_test.go", "example_sink_test.go"} {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := main.ReplaceAllString(strings.Replace(string(code), "package sdk_test", "package main", 1), "func main()")
		if blocks[i][1] != want {
			t.Errorf("the example in docs/plugins.md is not that of %s:\n%s", file, blocks[i][1])
		}
	}
}
