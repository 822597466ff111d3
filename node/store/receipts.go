package store

// schemaReceipts is how far devices have said that they hold and have read.
const schemaReceipts = ``
