package store

// schemaContent is what messages became: edits, removals, reactions, expiry.
const schemaContent = ``
