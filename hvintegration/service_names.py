"""Translated names of the integration services, as far as they are known.

Nothing is decided on a translated name: hosts are asked by component id. These names only let a user type what the
screen shows. Host names come from listings of real hosts; German and French are complete, of the other languages some
are known and some are likely. Display names of the Windows services are those of Microsoft's translated "Guidelines on
disabling system services"; a few of its translations were made by machine.
"""

from __future__ import annotations

from typing import Final

__all__ = ["GUEST_DISPLAY_NAMES", "HOST_NAMES"]

HOST_NAMES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "de": {
        "guest_service_interface": ("Gastdienstschnittstelle",),
        "heartbeat": ("Takt",),
        "kvp": ("Austausch von Schlüsselwertepaaren",),
        "shutdown": ("Herunterfahren",),
        "time_sync": ("Zeitsynchronisierung",),
        "vss": ("VSS",),
    },
    "fr": {
        "guest_service_interface": ("Interface de services d’invité",),
        "heartbeat": ("Pulsation",),
        "kvp": ("Échange de paires clé-valeur",),
        "shutdown": ("Arrêt",),
        "time_sync": ("Synchronisation date/heure",),
        "vss": ("VSS",),
    },
    "ru": {
        "guest_service_interface": ("Интерфейс гостевой службы",),
        "heartbeat": ("Пульс",),
        "kvp": ('Обмен парами "ключ-значение"',),
        "shutdown": ("Завершение работы",),
        "time_sync": ("Синхронизация времени",),
        "vss": ("VSS",),
    },
    "ja": {
        "guest_service_interface": ("ゲスト サービス インターフェイス",),
        "heartbeat": ("ハートビート",),
        "kvp": ("キー値ペア交換",),
        "shutdown": ("シャットダウン",),
        "time_sync": ("時刻の同期",),
        "vss": ("VSS",),
    },
    "zh-CN": {
        "guest_service_interface": ("来宾服务接口",),
        "heartbeat": ("检测信号",),
        "kvp": ("键值对交换",),
        "shutdown": ("关闭",),
        "time_sync": ("时间同步",),
        "vss": ("VSS",),
    },
    "es": {
        "guest_service_interface": ("Interfaz de servicio de invitado", "Interfaz de servicio invitado"),
        "heartbeat": ("Latido",),
        "kvp": ("Intercambio de pares clave-valor",),
        "shutdown": ("Apagar", "Cierre"),
        "time_sync": ("Sincronización de hora",),
        "vss": ("VSS",),
    },
    "pt-BR": {
        "guest_service_interface": ("Interface de Serviço de Convidado",),
        "heartbeat": ("Pulsação",),
        "kvp": ("Troca de Pares Chave-Valor",),
        "shutdown": ("Desligamento",),
        "time_sync": ("Sincronização de Horário", "Sincronização de Data/Hora"),
        "vss": ("VSS",),
    },
    "ko": {
        "guest_service_interface": ("게스트 서비스 인터페이스",),
        "heartbeat": ("하트비트",),
        "vss": ("VSS",),
    },
}
"""Language, then service key, to what ``Get-VMIntegrationService`` shows as ``Name`` on such a host."""

GUEST_DISPLAY_NAMES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "de": {
        "guest_service_interface": ("Hyper-V-Gastdienstschnittstelle",),
        "heartbeat": ("Hyper-V-Taktdienst",),
        "kvp": ("Hyper-V-Datenaustauschdienst",),
        "shutdown": ("Hyper-V-Dienst zum Herunterfahren des Gasts",),
        "time_sync": ("Hyper-V-Zeitsynchronisierungsdienst",),
        "vss": ("Hyper-V-Volumeschattenkopie-Anforderer",),
        "powershell_direct": ("Hyper-V-Dienst PowerShell Direct",),
        "remote_desktop_virtualization": ("Hyper-V-Remotedesktopvirtualisierungsdienst",),
    },
    "fr": {
        "guest_service_interface": ("Interface de services d’invité Hyper-V",),
        "heartbeat": ("Service Pulsation Microsoft Hyper-V",),
        "kvp": ("Service Échange de données Microsoft Hyper-V",),
        "shutdown": ("Service Arrêt de l’invité Microsoft Hyper-V",),
        "time_sync": ("Service Synchronisation date/heure Microsoft Hyper-V",),
        "vss": ("Requête du service VSS Microsoft Hyper-V",),
        "powershell_direct": ("Service PowerShell Direct Hyper-V",),
        "remote_desktop_virtualization": ("Service de virtualisation Bureau à distance Hyper-V",),
    },
    "es": {
        "guest_service_interface": (
            "Interfaz de servicio invitado de Hyper-V",
            "Interfaz de servicio de invitado de Hyper-V",
        ),
        "heartbeat": ("Servicio de latido de Hyper-V",),
        "kvp": ("Servicio de intercambio de datos de Hyper-V",),
        "shutdown": ("Servicio de cierre de invitado de Hyper-V",),
        "time_sync": ("Servicio de sincronización de hora de Hyper-V",),
        "vss": ("Solicitante de instantáneas de volumen de Hyper-V",),
        "powershell_direct": ("Servicio PowerShell Direct de Hyper-V", "Servicio directo de PowerShell"),
        "remote_desktop_virtualization": ("Servicio de virtualización de Escritorio remoto de Hyper-V",),
    },
    "it": {
        "guest_service_interface": ("Interfaccia servizio guest Hyper-V",),
        "heartbeat": ("Servizio Heartbeat Hyper-V",),
        "kvp": ("Servizio Scambio di dati Hyper-V",),
        "shutdown": ("Servizio Arresto guest Hyper-V",),
        "time_sync": ("Servizio Sincronizzazione ora Hyper-V",),
        "vss": ("Richiedente Copia Shadow del volume Hyper-V",),
        "powershell_direct": ("Servizio Hyper-V PowerShell Direct",),
        "remote_desktop_virtualization": ("Servizio Virtualizzazione Desktop remoto Hyper-V",),
    },
    "ja": {
        "guest_service_interface": ("Hyper-V ゲスト サービス インターフェイス",),
        "heartbeat": ("Hyper-V ハートビート サービス",),
        "kvp": ("Hyper-V データ交換サービス",),
        "shutdown": ("Hyper-V ゲスト シャットダウン サービス",),
        "time_sync": ("Hyper-V 時刻の同期サービス",),
        "vss": ("Hyper-V ボリューム シャドウ コピー リクエスター",),
        "powershell_direct": ("Hyper-V PowerShell ダイレクト サービス",),
        "remote_desktop_virtualization": ("Hyper-V リモート デスクトップ仮想化サービス",),
    },
    "ko": {
        "guest_service_interface": ("Hyper-V 게스트 서비스 인터페이스",),
        "heartbeat": ("Hyper-V 하트비트 서비스",),
        "kvp": ("Hyper-V 데이터 교환 서비스",),
        "shutdown": ("Hyper-V 게스트 종료 서비스",),
        "time_sync": ("Hyper-V 시간 동기화 서비스",),
        "vss": ("Hyper-V 볼륨 섀도 복사본 요청자",),
        "powershell_direct": ("Hyper-V PowerShell Direct 서비스",),
        "remote_desktop_virtualization": ("Hyper-V 원격 데스크톱 가상화 서비스",),
    },
    "pt-BR": {
        "guest_service_interface": ("Interface de Serviço de Convidado do Hyper-V",),
        "heartbeat": ("Serviço de Pulsação do Hyper-V",),
        "kvp": ("Serviço de Troca de Dados do Hyper-V",),
        "shutdown": ("Serviço de Desligamento de Convidado do Hyper-V",),
        "time_sync": ("Serviço de Sincronização de Data/Hora do Hyper-V",),
        "vss": ("Solicitante de Cópia de Sombra de Volume do Hyper-V",),
        "powershell_direct": ("Serviço do PowerShell Direct do Hyper-V",),
        "remote_desktop_virtualization": ("Serviço de Virtualização de Área de Trabalho Remota do Hyper-V",),
    },
    "ru": {
        "guest_service_interface": ("Интерфейс гостевой службы Hyper-V",),
        "heartbeat": ("Служба пульса (Hyper-V)",),
        "kvp": ("Служба обмена данными (Hyper-V)",),
        "shutdown": ("Служба завершения работы в качестве гостя (Hyper-V)",),
        "time_sync": ("Служба синхронизации времени Hyper-V",),
        "vss": ("Служба запросов на теневое копирование томов Hyper-V",),
        "powershell_direct": ("Служба PowerShell Direct для Hyper-V",),
        "remote_desktop_virtualization": ("Служба виртуализации удаленных рабочих столов Hyper-V",),
    },
    "zh-CN": {
        "guest_service_interface": ("Hyper-V 来宾服务接口",),
        "heartbeat": ("Hyper-V 检测信号服务",),
        "kvp": ("Hyper-V 数据交换服务",),
        "shutdown": ("Hyper-V 来宾关闭服务",),
        "time_sync": ("Hyper-V 时间同步服务",),
        "vss": ("Hyper-V 卷影复制请求程序",),
        "powershell_direct": ("Hyper-V PowerShell Direct 服务",),
        "remote_desktop_virtualization": ("Hyper-V 远程桌面虚拟化服务",),
    },
    "zh-TW": {
        "guest_service_interface": ("Hyper-V 客體服務介面",),
        "heartbeat": ("Hyper-V 活動訊號服務",),
        "kvp": ("Hyper-V 資料交換服務",),
        "shutdown": ("Hyper-V 客體關機服務",),
        "time_sync": ("Hyper-V 時間同步化服務",),
        "vss": ("Hyper-V 磁碟區陰影複製要求者",),
        "powershell_direct": ("Hyper-V PowerShell Direct 服務",),
        "remote_desktop_virtualization": ("Hyper-V 遠端桌面虛擬服務",),
    },
}
"""Language, then service key, to the display name of the service in such a Windows guest."""
