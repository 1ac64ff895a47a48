package main

import (
	"strings"
	"testing"

	"tsrun/sdk"
)

func TestRefusesFormats(t *testing.T) {
	for format, want := range map[string]string{"hdf5": `cannot write format "hdf5"`, "": "format", "ptu": `"ptu"`} {
		if _, err := open(t.Context(), sdk.Env{}, config{Format: format}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", format, err)
		}
	}
}
