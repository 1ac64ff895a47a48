package run

// Git is where a recipe stands in its repository.
type Git struct {
	Commit string `json:"commit,omitempty"`
	Dirty  bool   `json:"dirty,omitempty"` // the repository held changes that are in no commit
	Path   string `json:"path,omitempty"`  // of the recipe in the repository
	Note   string `json:"note,omitempty"`  // why there is no commit
}
