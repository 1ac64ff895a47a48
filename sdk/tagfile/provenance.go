package tagfile

import "strings"

// Provenance says where tags are from. What is not known is empty.
type Provenance struct {
	Run       string `json:"run,omitempty"`
	Recipe    string `json:"recipe_sha256,omitempty"` // SHA-256 of its file
	Channel   string `json:"channel,omitempty"`       // as "alice.signal"
	Device    string `json:"device,omitempty"`        // how the controller names itself
	Simulated bool   `json:"SIMULATED,omitempty"`     // they were computed and not measured
}

// String is what a person reads; "" where nothing is known.
func (p Provenance) String() string {
	var parts []string
	if p.Simulated {
		parts = append(parts, "SIMULATED: computed and not measured")
	}
	for _, of := range [][2]string{{"run ", p.Run}, {"channel ", p.Channel}, {"recipe_sha256 ", p.Recipe}, {"device ", p.Device}} {
		if of[1] != "" {
			parts = append(parts, of[0]+of[1])
		}
	}
	return strings.Join(parts, "; ")
}
