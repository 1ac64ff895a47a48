package wire

import (
	"encoding/json"
	"fmt"

	"tsrun/pipeline/text"
	"tsrun/sdk"
)

// DecodeRequest reads a request. Of a slave of another protocol, whose question may have
// another form, it reads what every release says of itself.
func DecodeRequest(body []byte) (Request, error) {
	var r Request
	err := json.Unmarshal(body, &r)
	if err == nil {
		return r, nil
	}
	var said struct {
		Node string `json:"node"`
		Join *struct {
			Protocol int    `json:"protocol"`
			Version  string `json:"version"`
			Host     string `json:"host"`
		} `json:"join"`
	}
	if json.Unmarshal(body, &said) != nil || said.Join == nil || said.Join.Protocol == Protocol {
		return Request{}, err
	}
	return Request{Node: said.Node, Join: &Join{Protocol: said.Join.Protocol, Version: said.Join.Version, Host: said.Join.Host}}, nil
}

// OtherProtocol refuses a slave that speaks another protocol than a master of a release;
// nil: it speaks the same.
func OtherProtocol(j *Join, release string) *sdk.Failure {
	if j.Protocol == Protocol {
		return nil
	}
	const most = 64 // bytes of a stranger's words that are repeated
	version := text.Printable(j.Version[:min(len(j.Version), most)])
	older := "the slave's"
	if j.Protocol > Protocol {
		older = "this master's"
	}
	return &sdk.Failure{Code: "protocol",
		Message: fmt.Sprintf("join: the slave, tsrun %s, speaks protocol %d, this master, tsrun %s, protocol %d", version, j.Protocol, release, Protocol),
		Hint:    "install the same release of tsrun on both PCs; " + older + " is the older one"}
}
