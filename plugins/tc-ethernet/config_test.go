package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

func TestConfigCheck(t *testing.T) {
	with := func(change func(*config)) config {
		c := defaults()
		c.Address = "169.254.99.107"
		change(&c)
		return c
	}
	tests := []struct {
		name   string
		config config
		want   endpoint
		field  string // of the failure; empty: none
	}{
		{"defaults", with(func(*config) {}),
			endpoint{host: "169.254.99.107", scpi: "169.254.99.107:5555", dlt: "127.0.0.1:6060"}, ""},
		{"port", with(func(c *config) { c.SCPIPort = 7000 }),
			endpoint{host: "169.254.99.107", scpi: "169.254.99.107:7000", dlt: "127.0.0.1:6060"}, ""},
		{"port in address", with(func(c *config) { c.Address = "tc.lab:9" }),
			endpoint{host: "tc.lab", scpi: "tc.lab:9", dlt: "127.0.0.1:6060"}, ""},
		{"IPv6", with(func(c *config) { c.Address = "fe80::1" }),
			endpoint{host: "fe80::1", scpi: "[fe80::1]:5555", dlt: "127.0.0.1:6060"}, ""},
		{"simulated", with(func(c *config) { c.Address = "sim" }), endpoint{}, ""},
		{"no address", with(func(c *config) { c.Address = "" }), endpoint{}, "address"},
		{"address with options", with(func(c *config) { c.Address = "1.2.3.4 --id x" }), endpoint{}, "address"},
		{"address like an option", with(func(c *config) { c.Address = "--id" }), endpoint{}, "address"},
		{"port 0", with(func(c *config) { c.Address = "1.2.3.4:0" }), endpoint{}, "address"},
		{"service without port", with(func(c *config) { c.DLT = "127.0.0.1" }), endpoint{}, "dlt"},
		{"short records", with(func(c *config) { c.Record.Period = 10 * quantity.Millisecond }), endpoint{}, "record"},
		{"long records", with(func(c *config) { c.Record.Period = 2 * maxRecord }), endpoint{}, "record"},
		{"negative timeout", with(func(c *config) { c.Timeout = -quantity.Second }), endpoint{}, "timeout"},
		{"endless timeout", with(func(c *config) { c.Timeout = 3600 * quantity.Second }), endpoint{}, "timeout"},
		{"resolution", with(func(c *config) { c.Resolution = "MEDIUM" }), endpoint{}, "resolution"},
		{"stream port", with(func(c *config) { c.StreamPort = 65533 }), endpoint{}, "stream_port"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.config.check()
			if field := failureField(err); field != test.field || (err == nil) != (test.field == "") {
				t.Fatalf("error %v is about %q, want %q", err, field, test.field)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(endpoint{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// failureField returns the config key that err is about.
func failureField(err error) string {
	var f *sdk.Failure
	if errors.As(err, &f) {
		return f.Field
	}
	return ""
}

func TestRecordText(t *testing.T) {
	tests := []struct {
		text string
		want record
		fail string
	}{
		{`"single"`, record{Single: true}, ""},
		{`"500 ms"`, record{Period: 500 * quantity.Millisecond}, ""},
		{`"double"`, record{}, "double"},
		{`0.2`, record{}, ""},
		{`"200"`, record{}, "unit"},
	}
	for _, test := range tests {
		var got record
		err := json.Unmarshal([]byte(test.text), &got)
		if test.want == (record{}) {
			if err == nil || !strings.Contains(err.Error(), test.fail) {
				t.Errorf("%s: error %v, want one with %q", test.text, err, test.fail)
			}
			continue
		}
		if err != nil || got != test.want {
			t.Errorf("%s: %v, %v, want %v", test.text, got, err, test.want)
		}
		back, err := json.Marshal(got)
		if err != nil || string(back) != test.text {
			t.Errorf("%s: written as %s, %v", test.text, back, err)
		}
	}
}

// TestDescription: the schema of the config that the host checks recipes
// against names every key, and the defaults pass the driver's own check.
func TestDescription(t *testing.T) {
	d, err := plugin().Describe()
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties map[string]struct{ Description string } `json:"properties"`
		Required   []string                                `json:"required"`
	}
	if err := json.Unmarshal(d.Drivers[0].Schema, &schema); err != nil {
		t.Fatal(err)
	}
	keys := []string{"address", "dlt", "force", "record", "resolution", "scpi_port", "stream_port", "timeout"}
	var got []string
	for key, p := range schema.Properties {
		got = append(got, key)
		if p.Description == "" {
			t.Errorf("%s has no description", key)
		}
	}
	if diff := cmp.Diff(keys, got, cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"address"}, schema.Required); diff != "" {
		t.Error(diff)
	}
	c := defaults()
	c.Address = "localhost"
	if _, err := c.check(); err != nil {
		t.Errorf("defaults: %v", err)
	}
}
