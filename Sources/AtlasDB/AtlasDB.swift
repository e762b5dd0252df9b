// The one import for programs: the embedded database, the client, and what they share.

@_exported public import AtlasClient
