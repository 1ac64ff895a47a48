package main

import (
	"slices"
	"strings"
	"testing"
)

func TestAddressBehindASpace(t *testing.T) {
	for given, want := range map[string]string{
		"a.yaml --web":                         "a.yaml --web",
		"a.yaml --web 127.0.0.1:0":             "a.yaml --web=127.0.0.1:0",
		"--web [::1]:5580 a.yaml --json":       "--web=[::1]:5580 a.yaml --json",
		"--web :80 a.yaml":                     "--web=:80 a.yaml",
		"--web a.yaml":                         "--web a.yaml",
		"--web --json a.yaml":                  "--web --json a.yaml",
		"--web=x:1 y:2":                        "--web=x:1 y:2",
		"a.yaml -- --web x:1":                  "a.yaml -- --web x:1",
		"web runs/latest --web localhost:8080": "web runs/latest --web=localhost:8080",
		"":                                     "",
	} {
		words := strings.Fields(given)
		if got := strings.Join(joinAddress(slices.Clone(words)), " "); got != want {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
	}
}
