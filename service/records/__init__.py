"""The stored documents as typed records, and names as paths. Pure: it speaks to no Vault and reads no clock.

`names` are what people and paths call things; `typed` puts what people type into its normal form or refuses it;
`documents` are the records of relays, container providers and statuses; `annotations` those of custom_metadata.
"""

from service.records.annotations import Annotations, read_annotations
from service.records.documents import (
    MAX_CLUSTERS,
    MAX_STATUS_DETAIL_CHARACTERS,
    Cluster,
    MultiCluster,
    Provider,
    ProviderKind,
    Relay,
    Status,
    StatusState,
    TlsMode,
    Visibility,
)
from service.records.names import (
    BUNDLES,
    PROVIDERS,
    RELAYS,
    STATUSES,
    bundle_path,
    cluster_consumer,
    is_name,
    provider_path,
    relay_consumer,
    relay_path,
    slug,
    status_path,
)
from service.records.typed import (
    MAX_DISPLAY_NAME_CHARACTERS,
    cluster_host,
    read_choice,
    read_cluster_url,
    read_comment,
    read_host,
    read_line,
    read_name,
    read_port,
    refusal,
)

__all__ = [
    "BUNDLES",
    "MAX_CLUSTERS",
    "MAX_DISPLAY_NAME_CHARACTERS",
    "MAX_STATUS_DETAIL_CHARACTERS",
    "PROVIDERS",
    "RELAYS",
    "STATUSES",
    "Annotations",
    "Cluster",
    "MultiCluster",
    "Provider",
    "ProviderKind",
    "Relay",
    "Status",
    "StatusState",
    "TlsMode",
    "Visibility",
    "bundle_path",
    "cluster_consumer",
    "cluster_host",
    "is_name",
    "provider_path",
    "read_annotations",
    "read_choice",
    "read_cluster_url",
    "read_comment",
    "read_host",
    "read_line",
    "read_name",
    "read_port",
    "refusal",
    "relay_consumer",
    "relay_path",
    "slug",
    "status_path",
]
